/** GPT-2's alphabet of bytes: printable bytes stand for themselves, the others are the characters from U+0100 on. */
const characters: readonly string[] = (() => {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const isPrintable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    return String.fromCharCode(isPrintable ? byte : next++);
  });
})();
const byteOf: ReadonlyMap<string, number> = new Map(characters.map((character, byte) => [character, byte]));

/** Bytes, one character each. */
export const bytesAsCharacters = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => characters[byte]).join('');

/** The UTF-8 bytes of a text, one character each. */
export const bytesToCharacters = (text: string): string => bytesAsCharacters(new TextEncoder().encode(text));

/** The bytes that a token stands for; undefined when one of its characters stands for none. */
export function charactersToBytes(token: string): Uint8Array | undefined {
  const bytes = Array.from(token, (character) => byteOf.get(character));
  return bytes.includes(undefined) ? undefined : Uint8Array.from(bytes as number[]);
}

/** Whether every byte has a token, so that any text can be encoded. */
export const holdsAllBytes = (vocabulary: ReadonlyMap<string, number>): boolean =>
  characters.every((character) => vocabulary.has(character));
