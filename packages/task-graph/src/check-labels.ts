/** Labels of a task that could be taken for each other, by a reader or by a model's tokenizer. */

/** A problem of the label at an index. */
interface LabelProblem {
  readonly index: number;
  readonly message: string;
}

/** Yields the labels that show nothing, begin or end in white space, or look like an earlier one. */
export function* checkLabels(id: string, labels: readonly string[]): Generator<LabelProblem> {
  const earlier = new Map<string, string>();
  for (const [index, label] of labels.entries()) {
    const key = withoutCase(label);
    const same = earlier.get(key);
    if (key === '')
      yield { index, message: `task "${id}" has the label ${shown(label)}, which has no visible character` };
    else if (same !== undefined)
      yield {
        index,
        message:
          same === label
            ? `task "${id}" has the label ${shown(label)} twice`
            : `task "${id}" has the labels ${shown(same)} and ${shown(label)}, which differ only in ${differenceOf(same, label)}; rename one`,
      };
    else if (label !== label.trim())
      yield {
        index,
        message: `task "${id}" has the label ${shown(label)}, which begins or ends with white space; remove it`,
      };
    if (same === undefined) earlier.set(key, label);
  }
}

const withoutSpace = (label: string) => label.trim().replace(/\s+/gu, ' ');
/** Without characters that have no width either; `normalize` may leave white space at the ends. */
const withoutForm = (label: string) =>
  withoutSpace(label.normalize('NFKC').replace(/\p{Default_Ignorable_Code_Point}/gu, ''));
const withoutCase = (label: string) => withoutForm(withoutForm(label).toLowerCase());

function differenceOf(first: string, second: string): string {
  if (withoutSpace(first) === withoutSpace(second)) return 'white space';
  if (withoutForm(first) === withoutForm(second)) return 'their Unicode form or characters without width';
  return 'upper and lower case';
}

/** The label in quotes, with the code of every character that might not be seen. */
const shown = (label: string) =>
  `"${label.replace(/[\p{C}\p{Z}\p{M}]/gu, (character) =>
    character === ' ' ? ' ' : `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  )}"`;
