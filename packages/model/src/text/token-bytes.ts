/** The bytes that each token of a tokenizer.json adds to a text. */

interface TokenizerJson {
  readonly model?: {
    readonly vocab?: Readonly<Record<string, number>> | readonly (readonly [string, number])[];
  };
  readonly decoder?: unknown;
  readonly added_tokens?: readonly { readonly id: number }[];
}

/** By id; undefined for added tokens, special ones included, because plain text contains none. */
export function tokenBytesOf(json: object): (Uint8Array | undefined)[] {
  const { model, decoder, added_tokens: added = [] } = json as TokenizerJson;
  const vocabulary = model?.vocab ?? {};
  const entries = Array.isArray(vocabulary)
    ? (vocabulary as [string, number][]).map(([token], id) => [token, id] as const)
    : Object.entries(vocabulary as Record<string, number>);
  const skipped = new Set(added.map(({ id }) => id));
  const byteOf = JSON.stringify(decoder ?? null).includes('"ByteLevel"') ? byteLevelTable() : undefined;
  const bytes: (Uint8Array | undefined)[] = [];
  for (const [token, id] of entries) {
    if (skipped.has(id)) continue;
    bytes[id] = byteOf ? byteLevelBytes(token, byteOf) : sentencePieceBytes(token);
  }
  return bytes;
}

/** GPT-2's byte-level alphabet: printable bytes map to themselves, the others to characters from U+0100 on. */
function byteLevelTable(): ReadonlyMap<number, number> {
  const table = new Map<number, number>();
  let next = 256;
  for (let byte = 0; byte < 256; byte++) {
    const isPrintable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    table.set(isPrintable ? byte : next++, byte);
  }
  return table;
}

function byteLevelBytes(token: string, byteOf: ReadonlyMap<number, number>): Uint8Array | undefined {
  const bytes = Array.from(token, (character) => byteOf.get(character.codePointAt(0) ?? -1));
  return bytes.includes(undefined) ? undefined : Uint8Array.from(bytes as number[]);
}

/** `<0xAB>` is a byte and ▁ a space. */
function sentencePieceBytes(token: string): Uint8Array {
  const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
  return byte === undefined
    ? new TextEncoder().encode(token.replaceAll('\u2581', ' '))
    : Uint8Array.of(parseInt(byte, 16));
}
