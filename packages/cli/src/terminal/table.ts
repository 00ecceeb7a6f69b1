/** Tables and shares in plain text. */
import stringWidth from 'string-width';

/** A table: the first column is aligned left, the others right. Widths are those on a terminal, where 天 takes two columns. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = header.map((title, i) =>
    Math.max(stringWidth(title), ...rows.map((row) => stringWidth(row[i] ?? ''))),
  );
  const line = (cells: readonly string[]) =>
    widths
      .map((width, i) => {
        const cell = cells[i] ?? '';
        const padding = ' '.repeat(Math.max(0, width - stringWidth(cell)));
        return i === 0 ? `${cell}${padding}` : `${padding}${cell}`;
      })
      .join('  ')
      .trimEnd();
  return [line(header), widths.map((width) => '-'.repeat(width)).join('  '), ...rows.map(line)];
}

/** `93.8 %` */
export const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
