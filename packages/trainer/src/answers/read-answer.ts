/** The right answer to a task, as a data file has it. */
import { nearestSpelling, quoteText, showText, type TaskSpec } from '@contextlora/task-graph';

/** Writes a JSON value as the model would write it under the schema, or says what is wrong with it. */
export type WriteJsonAnswer = (
  value: unknown,
  schema: Readonly<Record<string, unknown>>,
) => { readonly text: string } | { readonly problem: string };

/** The answer, or a function that describes what is wrong with it: of millions of bad rows only a few are described. */
export type ReadAnswer = { readonly answer: string } | { readonly problem: () => string };

/**
 * Reads the answer to a task: a label, text, or JSON (a value, or its text in a string).
 *
 * Without `writeJson` a JSON answer is only checked to be JSON.
 */
export function readAnswer(
  value: unknown,
  { id, answer: spec }: Pick<TaskSpec, 'id' | 'answer'>,
  {
    field,
    writeJson = writePlainJson,
  }: { readonly field: string; readonly writeJson?: WriteJsonAnswer | undefined },
): ReadAnswer {
  const refuse = (problem: () => string) => ({ problem });
  if (spec.type === 'json') {
    if (value === undefined) return refuse(() => `${field} is missing`);
    const { schema } = spec;
    const written =
      typeof value === 'string'
        ? fromText(value, (given) => writeJson(given, schema))
        : writeJson(value, schema);
    return 'text' in written
      ? { answer: written.text }
      : refuse(() => `${field} is no answer to task "${id}": ${written.problem}`);
  }
  if (typeof value !== 'string')
    return refuse(
      () =>
        `${field} must be a string, got ${kindOf(value)}${isScalar(value) ? `; write "${String(value)}"` : ''}`,
    );
  if (value.trim() === '') return refuse(() => `${field} is empty`);
  if (isBroken(value)) return refuse(() => `${field} ${brokenText}`);
  if (spec.type === 'text')
    return value === value.trim()
      ? { answer: value }
      : refuse(
          () =>
            `${field} ${quoteText(value)} begins or ends with white space, which an answer never does; remove it`,
        );
  if (spec.labels.includes(value)) return { answer: value };
  return refuse(() => {
    const what = `${field === '"answer"' ? 'answer' : field} ${quoteText(value)} is not a label of task "${id}" (${listed(spec.labels)})`;
    const near = sameButForm(value, spec.labels);
    if (near) return `${what}; it differs from the label ${quoteText(near.label)} only in ${near.form}`;
    const meant = nearestSpelling(value, spec.labels);
    return meant === undefined ? what : `${what}; did you mean ${quoteText(meant)}?`;
  });
}

/** A label that is the same word in another form, and what differs. */
function sameButForm(
  answer: string,
  labels: readonly string[],
): { readonly label: string; readonly form: string } | undefined {
  const forms: [string, (text: string) => string][] = [
    ['white space', spaceless],
    ['its Unicode form (NFC or NFD)', (text) => text.normalize('NFC')],
    ['upper and lower case', (text) => text.toLowerCase()],
    ['white space, case or Unicode form', (text) => spaceless(text.normalize('NFKC').toLowerCase())],
  ];
  for (const [form, change] of forms) {
    const label = labels.find((one) => change(one) === change(answer));
    if (label !== undefined) return { label, form };
  }
  return undefined;
}

const spaceless = (text: string) => text.replaceAll(/[\s\u200b-\u200d\u2060\ufeff]+/g, ' ').trim();

function fromText(
  text: string,
  write: (value: unknown) => ReturnType<WriteJsonAnswer>,
): ReturnType<WriteJsonAnswer> {
  try {
    return write(JSON.parse(text));
  } catch (cause) {
    return { problem: `not JSON (${showText((cause as Error).message)})` };
  }
}

const writePlainJson: WriteJsonAnswer = (value) => ({ text: JSON.stringify(value) });

const shownLabels = 20;
const listed = (labels: readonly string[]) =>
  labels.length <= shownLabels
    ? labels.join(', ')
    : `${labels.slice(0, shownLabels).join(', ')} and ${labels.length - shownLabels} more`;

/** Whether a text has a character that no model reads: NUL, or half of a surrogate pair. */
export const isBroken = (text: string): boolean => /\0|\p{Cs}/u.test(text);
export const brokenText = 'holds a NUL character or half of a surrogate pair; remove it';

const isScalar = (value: unknown) => typeof value === 'number' || typeof value === 'boolean';

/** The kind of a JSON value in words. */
export const kindOf = (value: unknown): string =>
  value === undefined
    ? 'nothing'
    : value === null
      ? 'null'
      : Array.isArray(value)
        ? 'a list'
        : typeof value === 'object'
          ? 'an object'
          : typeof value;
