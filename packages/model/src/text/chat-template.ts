/** Renders conversations as prompts with the Jinja template that comes with a model. */
import * as jinja from '@huggingface/jinja';

import { ModelError } from '../model-error.js';
import { openTimeLimit } from './time-limit.js';
import type { TextTokenizer } from './tokenizer.js';

/** The part of the library in use; its own types do not resolve under NodeNext. */
interface Library {
  readonly Template: new (template: string) => { readonly parsed: object };
  readonly Environment: new () => { set(name: string, value: unknown): void };
  readonly Interpreter: new (environment: object) => { run(program: object): { readonly value: string } };
}
const { Environment, Interpreter, Template } = jinja as unknown as Library;

export interface ChatMessage {
  /** Usually `system`, `user` or `assistant`; the template decides what is allowed. */
  readonly role: string;
  readonly content: string;
}

export interface RenderChatOptions {
  /** Begin the assistant's answer, for the model to continue. @default true */
  readonly addGenerationPrompt?: boolean;
  /** Replaces the model's own template. */
  readonly template?: string;
  /** The date, for templates that write it. */
  readonly now?: Date;
  /** Additional variables for the template. */
  readonly variables?: Readonly<Record<string, unknown>>;
  /** The time limit; published templates take a few milliseconds. @default 3000 */
  readonly limitMilliseconds?: number;
}

/**
 * The text of a conversation, including all special tokens and the begin token: encode it unchanged (`tokenizer.encode`).
 *
 * @throws ModelError when the model has no template, the template is damaged, or it refuses the messages (with its reason).
 */
export function renderChat(
  tokenizer: Pick<TextTokenizer, 'chatTemplate' | 'specialTokens'>,
  messages: readonly ChatMessage[],
  {
    addGenerationPrompt = true,
    template = tokenizer.chatTemplate,
    now,
    variables = {},
    limitMilliseconds: milliseconds = 3000,
  }: RenderChatOptions = {},
): string {
  const fail = (what: string, cause?: unknown): never => {
    throw new ModelError('MODEL_TEMPLATE_FAILED', 'renderChat', what, { cause });
  };
  if (template === undefined)
    return fail('the model has no chat template; pass one, or pass a plain prompt to generate');
  const limit = openTimeLimit();
  const slow = () => new Error(`it takes more than ${milliseconds} ms`);
  let parsed: object;
  try {
    parsed = limit(() => new Template(template).parsed, { milliseconds, slow });
  } catch (cause) {
    return fail(`the chat template cannot be parsed: ${(cause as Error).message}`, cause);
  }
  let refusal: string | undefined;
  const run = () => {
    // The clock and raise_exception of `Template.render` cannot be replaced.
    const environment = new Environment();
    for (const [name, value] of Object.entries({
      ...constants,
      range,
      raise_exception: (message: unknown) => {
        refusal = String(message);
        throw new Error(refusal);
      },
      strftime_now: (format: string) => {
        if (!now) throw new Error('it writes the date, and none is given (option "now")');
        return formatDate(now, format);
      },
      tools: null,
      documents: null,
      ...tokenizer.specialTokens,
      ...variables,
      // Templates modify their input.
      messages: messages.map((message) => ({ ...message })),
      add_generation_prompt: addGenerationPrompt,
    }))
      environment.set(name, value);
    return new Interpreter(environment).run(parsed).value;
  };
  try {
    return limit(run, { milliseconds, slow });
  } catch (cause) {
    return fail(
      refusal === undefined
        ? `the chat template fails: ${(cause as Error).message}`
        : `the chat template refuses these messages: ${refusal}`,
      cause,
    );
  }
}

const constants = { true: true, True: true, false: false, False: false, none: null, None: null };

/** The limit of Jinja's sandbox, in which transformers runs templates. */
const longestRange = 100_000;

/** Python's range. */
function range(first: number, end?: number, step = 1): number[] {
  const [from, to] = end === undefined ? [0, first] : [first, end];
  const length = Math.max(0, Math.ceil((to - from) / step));
  if (!(length <= longestRange)) throw new Error(`its range has more than ${longestRange} numbers`);
  return Array.from({ length }, (_, i) => from + i * step);
}

const months = 'January February March April May June July August September October November December'.split(
  ' ',
);

/** Supports the codes of Python's strftime that templates use, in local time. */
function formatDate(date: Date, format: string): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const month = months[date.getMonth()] ?? '';
  const parts: Readonly<Record<string, string>> = {
    '%Y': String(date.getFullYear()),
    '%m': two(date.getMonth() + 1),
    '%d': two(date.getDate()),
    '%H': two(date.getHours()),
    '%M': two(date.getMinutes()),
    '%S': two(date.getSeconds()),
    '%B': month,
    '%b': month.slice(0, 3),
    '%%': '%',
  };
  return format.replace(/%./g, (code) => {
    const part = parts[code];
    if (part === undefined) throw new Error(`it writes the date as ${code}, which is not supported`);
    return part;
  });
}
