/** Text from a file in a message. */

/** The text in quotes, on one line and shortened, so that a hostile file has short messages. */
export function quoteText(text: string, { maximumLength = 80 }: { maximumLength?: number } = {}): string {
  const shown = text.length > maximumLength ? `${text.slice(0, maximumLength)}…` : text;
  return `"${showText(shown)}"`;
}

/** The text on one line, with the code of every character that nobody would see. */
export const showText = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cs}\p{Cf}\u2028\u2029]/gu, escapeCharacter);

const escapeCharacter = (character: string) => {
  const code = (character.codePointAt(0) ?? 0).toString(16);
  return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, '0')}`;
};
