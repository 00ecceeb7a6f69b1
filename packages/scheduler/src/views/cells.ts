/** Text in a terminal's cells: some characters take two, some none. */

/** Names come from users: control and direction characters must not reach the terminal. */
export const printable = (text: string): string => text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '?');

const wide =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;

const cellsOfCharacter = (character: string): number =>
  /\p{M}/u.test(character) ? 0 : wide.test(character) ? 2 : 1;

/** Width of the text in a terminal. */
export const cellsOf = (text: string): number =>
  Array.from(text).reduce((sum, character) => sum + cellsOfCharacter(character), 0);

/** The text padded, or cut with an ellipsis, to exactly so many cells. */
export function fit(text: string, cells: number): string {
  const whole = cellsOf(text) <= cells;
  let result = '';
  let used = 0;
  for (const character of text) {
    if (used + cellsOfCharacter(character) > cells - (whole ? 0 : 1)) break;
    result += character;
    used += cellsOfCharacter(character);
  }
  const cut = whole ? result : `${result}…`;
  return cut + ' '.repeat(Math.max(0, cells - used - (whole ? 0 : 1)));
}

/** The parts on lines, separated by two blanks, or by one after punctuation. */
export function wrap(parts: readonly string[], columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  let cells = 0;
  for (const part of parts) {
    const fitted = cellsOf(part) > columns ? fit(part, columns) : part;
    const gap = cells === 0 ? '' : /[:,]$/.test(line) ? ' ' : '  ';
    if (cells > 0 && cells + gap.length + cellsOf(fitted) > columns) {
      lines.push(line);
      [line, cells] = [fitted, cellsOf(fitted)];
    } else [line, cells] = [line + gap + fitted, cells + gap.length + cellsOf(fitted)];
  }
  return [...lines, line];
}
