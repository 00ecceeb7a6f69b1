/** The forms that a row may have, each as the plain one: `image`, `audio`, `text`, `parents`, `answer`. */
import { quoteText } from '@contextlora/task-graph';

import { kindOf } from './read-answer.js';

/** A problem as a function: of millions only a few are described. */
export type Describe = () => string;

/** The keys of the plain form. */
export const rowKeys: readonly string[] = ['image', 'audio', 'text', 'parents', 'answer'];

/** Keys and values of the plain form, unchecked; what was no part of the other form is kept. */
export interface PlainRow {
  readonly row: Record<string, unknown>;
  readonly problems: Describe[];
}

/**
 * A row with `messages` (one of the user, one of the assistant; content as text or as parts of type text, image and audio) or with `prompt` and
 * `completion` or `answer`, in the plain form. `images` and `audios` are lists of one path.
 */
export function plainRow(value: Record<string, unknown>): PlainRow {
  const problems: Describe[] = [];
  let row = value;
  if (Object.hasOwn(row, 'messages')) row = fromMessages(row, problems);
  else {
    row = renamed(row, 'prompt', { to: 'text', problems });
    row = renamed(row, 'completion', { to: 'answer', problems });
  }
  for (const kind of fileKinds) {
    if (!Object.hasOwn(row, kind.list)) continue;
    const { [kind.list]: listed, ...rest } = row;
    const only = oneOf(listed, kind, problems);
    row = only === undefined ? rest : withFile(rest, only, kind, problems);
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

/** What a row may have one file of. */
interface FileKind {
  readonly key: 'image' | 'audio';
  readonly list: 'images' | 'audios';
  readonly noun: string;
}

const fileKinds: readonly FileKind[] = [
  { key: 'image', list: 'images', noun: 'pictures' },
  { key: 'audio', list: 'audios', noun: 'sounds' },
];

/** The only path of a list, which may be empty. */
function oneOf(paths: unknown, { list, noun }: FileKind, problems: Describe[]): unknown {
  if (!Array.isArray(paths)) problems.push(() => `"${list}" must be a list of paths, got ${kindOf(paths)}`);
  else if (paths.length > 1)
    problems.push(() => `"${list}" has ${paths.length} ${noun}; a row has at most one`);
  else return paths[0];
  return undefined;
}

function withFile(
  row: Record<string, unknown>,
  path: unknown,
  { key, noun }: FileKind,
  problems: Describe[],
) {
  if (Object.hasOwn(row, key)) {
    problems.push(() => `the row has two ${noun}; it has at most one`);
    return row;
  }
  return { ...row, [key]: path };
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
  let row: Record<string, unknown> = {
    ...rest,
    ...(asked?.text === undefined ? {} : { text: asked.text }),
    answer: answered?.text,
  };
  for (const kind of fileKinds) {
    const paths = asked?.files[kind.key] ?? [];
    if (answered?.files[kind.key].length) problems.push(() => `an answer is text, without ${kind.noun}`);
    if (paths.length > 1)
      problems.push(() => `a message has ${paths.length} ${kind.noun}; a row has at most one`);
    const [path] = paths;
    if (path !== undefined) row = withFile(row, path, kind, problems);
  }
  return row;
}

interface Content {
  readonly text: string | undefined;
  /** Paths in the parts; a part that only marks the place of the row's image or sound has none. */
  readonly files: Readonly<Record<FileKind['key'], readonly unknown[]>>;
}

function readContent(content: unknown, problems: Describe[]): Content {
  const files = { image: [] as unknown[], audio: [] as unknown[] };
  if (typeof content === 'string') return { text: content, files };
  if (!Array.isArray(content)) {
    problems.push(() => `the content of a message must be text or a list of parts, got ${kindOf(content)}`);
    return { text: '', files };
  }
  const texts: string[] = [];
  for (const part of content as (Partial<
    Record<'type' | 'text' | 'path' | FileKind['key'], unknown>
  > | null)[]) {
    const kind = fileKinds.find(({ key }) => key === part?.type)?.key;
    const path = kind && (part?.[kind] ?? part?.path);
    if (part?.type === 'text' && typeof part.text === 'string') texts.push(part.text);
    else if (kind) files[kind].push(...(path == null ? [] : [path]));
    else
      problems.push(
        () =>
          `a part of a message must have the type text, with its text, or image or audio, with the path of a file; got ${quoteText(JSON.stringify(part))}`,
      );
  }
  return { text: texts.length === 0 ? undefined : texts.join(''), files };
}
