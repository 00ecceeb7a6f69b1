/** Renders conversations as prompts with the Jinja template that comes with a model. */
import { parseTemplate } from '../jinja/parser.js';
import { renderTemplate } from '../jinja/render.js';
import { strftime } from '../jinja/strftime.js';
import { ModelError } from '../model-error.js';
import { templatePlaces } from './template-places.js';
import { openTimeLimit } from './time-limit.js';
import type { TextTokenizer } from './tokenizer.js';

export interface ChatMessage {
  /** Usually `system`, `user` or `assistant`; the template decides what is allowed. */
  readonly role: string;
  readonly content: string | readonly ContentPart[];
}

/** A part of what is said: text, or the place of a picture or a sound. */
export type ContentPart =
  { readonly type: 'text'; readonly text: string } | { readonly type: 'image' | 'audio' };

export interface RenderChatOptions {
  /** Begin the assistant's answer, for the model to continue. @default true */
  readonly addGenerationPrompt?: boolean;
  /** Replaces the model's own template, or names one of its `namedTemplates`. */
  readonly template?: string;
  /** What stands for a picture where the template takes messages of text only, such as `<image>`. */
  readonly imageToken?: string;
  /** The same of a sound. */
  readonly audioToken?: string;
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
  tokenizer: Pick<TextTokenizer, 'chatTemplate' | 'specialTokens' | 'namedTemplates'>,
  messages: readonly ChatMessage[],
  {
    addGenerationPrompt = true,
    template: given,
    imageToken = '',
    audioToken = '',
    now,
    variables = {},
    limitMilliseconds: milliseconds = 3000,
  }: RenderChatOptions = {},
): string {
  const fail = (what: string, cause?: unknown): never => {
    throw new ModelError('MODEL_TEMPLATE_FAILED', 'renderChat', what, { cause });
  };
  const template = templateOf(tokenizer, { given, hasTools: isGiven(variables['tools']) });
  if (template === undefined) {
    const names = Object.keys(tokenizer.namedTemplates ?? {});
    return fail(
      names.length > 0
        ? `the model has several chat templates and none is called "default"; name one of ${names.join(', ')} (option "template")`
        : `the model has no chat template; pass one, or pass a plain prompt to generate (looked for in ${templatePlaces.join(', ')})`,
    );
  }
  const limit = openTimeLimit();
  const slow = () => new Error(`it takes more than ${milliseconds} ms`);
  let parsed: ReturnType<typeof parseTemplate>;
  try {
    parsed = limit(() => parseTemplate(template), { milliseconds, slow });
  } catch (cause) {
    return fail(`the chat template cannot be parsed: ${(cause as Error).message}`, cause);
  }
  let refusal: string | undefined;
  const run = () =>
    renderTemplate(parsed, {
      raise_exception: (message: unknown) => {
        refusal = String(message);
        throw new Error(refusal);
      },
      strftime_now: (format: unknown) => {
        if (!now) throw new Error('it writes the date, and none is given (option "now")');
        return strftime(now, String(format));
      },
      tools: null,
      documents: null,
      ...tokenizer.specialTokens,
      ...variables,
      messages: contentsFor(template, messages, { image: imageToken, audio: audioToken }).map(withoutEmpty),
      add_generation_prompt: addGenerationPrompt,
    });
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

const isGiven = (value: unknown) => value !== undefined && value !== null;

/** As in transformers, tools select the template of that name. */
function templateOf(
  { chatTemplate, namedTemplates = {} }: Pick<TextTokenizer, 'chatTemplate' | 'namedTemplates'>,
  { given, hasTools }: { given: string | undefined; hasTools: boolean },
): string | undefined {
  const named = (name: string) => (Object.hasOwn(namedTemplates, name) ? namedTemplates[name] : undefined);
  if (given !== undefined) return named(given) ?? given;
  return (hasTools ? named('tool_use') : undefined) ?? chatTemplate;
}

/**
 * Messages as a template takes them. Where one has a picture or a sound, a template that looks at the type of parts gets every message in parts, as
 * transformers gives them; any other gets text.
 */
function contentsFor(
  template: string,
  messages: readonly ChatMessage[],
  tokens: { readonly image: string; readonly audio: string },
): readonly ChatMessage[] {
  if (messages.every(({ content }) => typeof content === 'string')) return messages;
  const takesParts = /\[['"]type['"]\]|\.type\b/.test(template);
  return messages.map(({ content, ...message }) => {
    const parts = typeof content === 'string' ? [{ type: 'text' as const, text: content }] : content;
    const text = parts.map((part) => (part.type === 'text' ? part.text : tokens[part.type])).join('');
    return { ...message, content: takesParts ? parts : text };
  });
}

/** Templates would print or trip over what a caller leaves empty. */
const withoutEmpty = (message: ChatMessage) =>
  Object.fromEntries(Object.entries(message).filter(([, value]) => isGiven(value)));
