/** The forms that a row may have, each as the plain one: `image`, `text`, `parents`, `answer`. */
import { quoteText } from '@contextlora/task-graph';

import { kindOf } from './read-answer.js';

/** A problem as a function: of millions only a few are described. */
export type Describe = () => string;

/** The keys of the plain form. */
export const rowKeys: readonly string[] = ['image', 'text', 'parents', 'answer'];

/** Keys and values of the plain form, unchecked; what was no part of the other form is kept. */
export interface PlainRow {
  readonly row: Record<string, unknown>;
  readonly problems: Describe[];
}

/**
 * A row with `messages` (one of the user, one of the assistant; content as text or as parts of type text and image) or with `prompt` and
 * `completion` or `answer`, in the plain form. `images` is a list of one path.
 */
export function plainRow(value: Record<string, unknown>): PlainRow {
  const problems: Describe[] = [];
  let row = value;
  if (Object.hasOwn(row, 'messages')) row = fromMessages(row, problems);
  else {
    row = renamed(row, 'prompt', { to: 'text', problems });
    row = renamed(row, 'completion', { to: 'answer', problems });
  }
  if (Object.hasOwn(row, 'images')) {
    const { images, ...rest } = row;
    const only = oneOf(images, problems);
    row = only === undefined ? rest : withImage(rest, only, problems);
  }
  return { row, problems };
}

function renamed(
  row: Record<string, unknown>,
  from: string,
  { to, problems }: { readonly to: string; readonly problems: Describe[] },
): Record<string, unknown> {
  if (!Object.hasOwn(row, from)) return row;
  const { [from]: value, ...rest } = row;
  if (Object.hasOwn(rest, to)) {
    problems.push(() => `"${from}" and "${to}" say the same; leave one of them out`);
    return rest;
  }
  return { ...rest, [to]: value };
}

/** The only image of a list, which may be empty. */
function oneOf(images: unknown, problems: Describe[]): unknown {
  if (!Array.isArray(images)) problems.push(() => `"images" must be a list of paths, got ${kindOf(images)}`);
  else if (images.length > 1)
    problems.push(() => `"images" has ${images.length} pictures; a row has at most one`);
  else return images[0];
  return undefined;
}

function withImage(row: Record<string, unknown>, image: unknown, problems: Describe[]) {
  if (Object.hasOwn(row, 'image')) {
    problems.push(() => 'the row has two pictures; it has at most one');
    return row;
  }
  return { ...row, image };
}

function fromMessages(value: Record<string, unknown>, problems: Describe[]): Record<string, unknown> {
  const { messages, ...rest } = value;
  for (const key of ['text', 'answer', 'prompt', 'completion'])
    if (Object.hasOwn(rest, key)) problems.push(() => `"messages" and "${key}" say the same; leave one out`);
  if (!Array.isArray(messages)) {
    problems.push(() => `"messages" must be a list, got ${kindOf(messages)}`);
    return { ...rest, text: '', answer: '' };
  }
  const roles = messages.map((message) => (message as { role?: unknown } | null)?.role);
  if (roles[0] === 'system')
    problems.push(
      () =>
        'a system message is the same for all rows: put it into the instruction of the task, and remove it',
    );
  const turns = messages.slice(roles[0] === 'system' ? 1 : 0) as ({ content?: unknown } | null)[];
  if (turns.length !== 2 || roles.at(-2) !== 'user' || roles.at(-1) !== 'assistant') {
    problems.push(
      () =>
        `"messages" must be one of the user and one of the assistant, got ${roles.map((role) => quoteText(String(role))).join(', ') || 'none'}; write a row for each answer`,
    );
    return { ...rest, text: '', answer: '' };
  }
  const [asked, answered] = turns.map((turn) => readContent(turn?.content, problems));
  const row = {
    ...rest,
    ...(asked?.text === undefined ? {} : { text: asked.text }),
    answer: answered?.text,
  };
  if (answered?.images.length) problems.push(() => 'an answer is text, without pictures');
  if ((asked?.images.length ?? 0) > 1)
    problems.push(() => `a message has ${asked?.images.length ?? 0} pictures; a row has at most one`);
  const [image] = asked?.images ?? [];
  return image === undefined ? row : withImage(row, image, problems);
}

interface Content {
  readonly text: string | undefined;
  /** Paths in the parts; a part that only marks the place of the row's image has none. */
  readonly images: readonly unknown[];
}

function readContent(content: unknown, problems: Describe[]): Content {
  if (typeof content === 'string') return { text: content, images: [] };
  if (!Array.isArray(content)) {
    problems.push(() => `the content of a message must be text or a list of parts, got ${kindOf(content)}`);
    return { text: '', images: [] };
  }
  const [texts, images]: [string[], unknown[]] = [[], []];
  for (const part of content as ({
    type?: unknown;
    text?: unknown;
    image?: unknown;
    path?: unknown;
  } | null)[]) {
    const image = part?.image ?? part?.path;
    if (part?.type === 'text' && typeof part.text === 'string') texts.push(part.text);
    else if (part?.type === 'image') images.push(...(image == null ? [] : [image]));
    else
      problems.push(
        () =>
          `a part of a message must have the type text, with its text, or image, with the path of a file; got ${quoteText(JSON.stringify(part))}`,
      );
  }
  return { text: texts.length === 0 ? undefined : texts.join(''), images };
}
