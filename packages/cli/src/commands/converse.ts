/** Talking to a model: one prompt, or a conversation. */
import { createInterface } from 'node:readline';

import {
  audioText,
  type ChatImage,
  type ChatMessage,
  type ChatSound,
  type Conversation,
  generate,
  type GenerateOptions,
  type GenerationResult,
  type LoadedModel,
  ModelError,
  type ModelErrorCode,
  openConversation,
  promptIds,
  renderChat,
  withAudioTokens,
  withImageTexts,
} from '@contextlora/model';

import { CliError } from '../cli-error.js';
import type { CommandContext } from '../command-context.js';

export interface TalkOptions {
  readonly system?: string;
  /** Whether the model gets the prompt as it is, without a chat template. */
  readonly plain: boolean;
  readonly seed: number;
}

/** A model with an adapter, settings and the terminal. */
export interface Talk {
  readonly model: LoadedModel;
  readonly options: TalkOptions;
  readonly settings: GenerateOptions;
  readonly context: CommandContext;
  /** The picture that the first message is about, and its path. */
  readonly image?: ChatImage & { readonly path: string };
  /** The sound that the first message is about. */
  readonly sound?: ChatSound;
}

/** Streams an answer to the output. */
async function answer(
  { model, options, settings, context, image, sound }: Talk,
  messages: readonly ChatMessage[],
  { signal, seed, conversation }: { signal: AbortSignal; seed: number; conversation?: Conversation },
): Promise<GenerationResult> {
  const prompt = options.plain
    ? promptIds(model, {
        prompt: `${sound ? audioText(model, sound.tokens) : ''}${textOf(messages.at(-1))}`,
        ...(image ? { image: image.path } : {}),
      })
    : model.tokenizer.encode(chatPrompt(model, messages, { now: context.now(), image, sound }));
  const events = generate(model, prompt, { ...settings, seed, signal, conversation });
  for (;;) {
    const { done, value } = await events.next();
    if (done) {
      context.output.write('\n');
      return value;
    }
    context.output.write(value.text);
  }
}

/** The text of a conversation, with the tokens of picture and sound in their place. */
function chatPrompt(
  model: LoadedModel,
  messages: readonly ChatMessage[],
  {
    now,
    image,
    sound,
  }: { readonly now: Date; readonly image: ChatImage | undefined; readonly sound: ChatSound | undefined },
): string {
  const token = model.spec.vision && model.tokenizer.decode([model.spec.vision.imageTokenId]);
  const text = renderChat(model.tokenizer, messages, {
    now,
    ...(token === undefined ? {} : { imageToken: token }),
    ...(sound ? { audioToken: audioText(model, 1) } : {}),
  });
  const seen = image ? withImageTexts(model, text, [image.layout]) : text;
  return sound ? withAudioTokens(model, seen, [sound.tokens]) : seen;
}

const textOf = (message: ChatMessage | undefined): string =>
  typeof message?.content === 'string' ? message.content : '';

/** What is said first is about the picture and the sound, if there are. */
const firstMessage = ({ image, sound, options }: Talk, text: string): ChatMessage => ({
  role: 'user',
  content:
    (image ?? sound) && !options.plain
      ? [
          ...(image ? [{ type: 'image' } as const] : []),
          ...(sound ? [{ type: 'audio' } as const] : []),
          { type: 'text', text },
        ]
      : text,
});

const opening = ({ system }: TalkOptions): ChatMessage[] =>
  system === undefined ? [] : [{ role: 'system', content: system }];

/** Answers one prompt. Returns whether Ctrl-C ended it. */
export async function answerOnce(talk: Talk, text: string): Promise<boolean> {
  if (text.trim() === '')
    throw new CliError(
      'CLI_OPTIONS_INVALID',
      'chat',
      'the prompt is empty; give one with --prompt, or pipe one in',
    );
  const { options, context } = talk;
  const messages = [...opening(options), firstMessage(talk, text)];
  const { finish } = await answer(talk, messages, { signal: context.signal, seed: options.seed });
  return finish === 'aborted';
}

/** Answers line by line until the input ends or Ctrl-C is pressed twice in a row. Returns whether that or another signal ended it. */
export async function converse(talk: Talk): Promise<boolean> {
  const { options, context } = talk;
  const lines = createInterface({ input: context.input, output: context.output, prompt: '> ' });
  const conversation = openConversation(talk.model);
  let messages = opening(options);
  let answering: AbortController | undefined;
  let isSecond = false;
  let isLeft = false;
  const leave = () => {
    isLeft = true;
    answering?.abort();
    lines.close();
  };
  const interrupt = () => {
    if (isSecond) {
      leave();
      return;
    }
    isSecond = true;
    if (answering) answering.abort();
    else {
      context.output.write('\nCtrl-C again to leave.\n');
      lines.prompt();
    }
  };
  const restore = context.onInterrupt(interrupt);
  context.signal.addEventListener('abort', leave);
  // While readline reads a terminal, Ctrl-C arrives as a key.
  lines.on('SIGINT', interrupt);
  try {
    let turn = 0;
    lines.prompt();
    for await (const line of lines) {
      isSecond = false;
      if (line.trim() === '') {
        lines.prompt();
        continue;
      }
      const isFirst = messages.every(({ role }) => role === 'system');
      const asked = [...messages, isFirst ? firstMessage(talk, line) : { role: 'user', content: line }];
      answering = new AbortController();
      try {
        const { text } = await answer(talk, asked, {
          signal: answering.signal,
          seed: options.seed + turn++,
          conversation,
        });
        messages = [...asked, { role: 'assistant', content: text }];
      } catch (error) {
        // A turn that is too long or cannot be answered must not end the conversation.
        if (!(error instanceof ModelError) || !turnErrors.has(error.code)) throw error;
        context.output.write(`${error.message}\n`);
      }
      answering = undefined;
      lines.prompt();
    }
  } finally {
    restore();
    context.signal.removeEventListener('abort', leave);
    lines.close();
    conversation.dispose();
  }
  return isLeft;
}

/** Errors that concern one turn only. */
const turnErrors: ReadonlySet<ModelErrorCode> = new Set([
  'MODEL_CONTEXT_FULL',
  'MODEL_NO_TOKEN',
  'MODEL_TEMPLATE_FAILED',
]);
