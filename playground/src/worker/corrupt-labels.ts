/** Wrong labels in the training rows of one task. */
import { fs } from 'memfs';

/** Gives every row the label after its own: none stays right. */
export function corruptLabels(path: string, labels: readonly string[]): void {
  const rows = String(fs.readFileSync(path, 'utf8')).trim().split('\n');
  const wrong = rows.map((row) => {
    const parsed = JSON.parse(row) as { readonly answer: string };
    const answer = labels[(labels.indexOf(parsed.answer) + 1) % labels.length];
    return JSON.stringify({ ...parsed, answer });
  });
  fs.writeFileSync(path, `${wrong.join('\n')}\n`);
}
