/** Text from a file in a message. */

/** The text in quotes, on one line and shortened, so that a hostile file has short messages. */
export function quoteText(text: string, { maximumLength = 80 }: { maximumLength?: number } = {}): string {
  const shown = text.length > maximumLength ? `${text.slice(0, maximumLength)}…` : text;
  return `"${shown.replace(/[\p{Cc}\p{Cs}\u2028\u2029]/gu, escapeCharacter)}"`;
}

const escapeCharacter = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
