/** `contextlora chat`: talk to a model, with a task's adapter if one is given. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { openKernels } from '@contextlora/kernels';
import { composeTask } from '@contextlora/lora';
import { type PeftAdapter, readPartition, readPeftFolder } from '@contextlora/lora/files';
import {
  type ChatMessage,
  type Conversation,
  generate,
  type GenerateOptions,
  type GenerationResult,
  jsonConstraint,
  type LoadedModel,
  loadModel,
  locateModel,
  ModelError,
  type ModelErrorCode,
  openConversation,
  renderChat,
  uploadAdapter,
} from '@contextlora/model';

import { CliError, type CliErrorCode } from '../cli-error.js';
import type { CommandContext } from '../command-context.js';
import type { CommandSetup } from '../command-setup.js';
import { naturalNumber, nonNegativeNumber, positiveNumber } from '../option-values.js';

interface ChatOptions {
  readonly model: string;
  readonly adapter?: string;
  readonly task?: string;
  readonly system?: string;
  readonly prompt?: string;
  /** Give the model the prompt as it is, without a chat template. */
  readonly plain: boolean;
  readonly schema?: string;
  readonly temperature: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly repetitionPenalty?: number;
  readonly seed: number;
  readonly maxTokens: number;
  readonly threads: number;
}

export function addChatCommand({ program, context, run }: CommandSetup): void {
  program
    .command('chat')
    .description('talk to a model on a terminal, or answer one prompt')
    .requiredOption('--model <path>', 'a model directory, a GGUF file, or a name in the Hugging Face cache')
    .option('--adapter <directory>', 'a PEFT folder, or the folder of a run')
    .option('--task <name>', 'task of the run whose adapter is used')
    .option('--system <text>', 'system message')
    .option('--prompt <text>', 'answer this and exit; without it, piped input is the prompt')
    .option('--plain', 'do not apply the chat template: continue the prompt as it is', false)
    .option('--schema <file>', 'a JSON schema that the answer must match')
    .option('--temperature <t>', 'sampling temperature; 0 takes the most likely token', nonNegativeNumber, 0)
    .option('--top-k <n>', 'sample from this many of the most likely tokens', naturalNumber)
    .option('--top-p <p>', 'sample from the most likely tokens up to this total probability', positiveNumber)
    .option('--repetition-penalty <p>', 'above 1 discourages repetition', positiveNumber)
    .option('--seed <n>', 'random seed for sampling', naturalNumber, 0)
    .option('--max-tokens <n>', 'longest answer', naturalNumber, 256)
    .option('--threads <n>', 'threads per native operation', naturalNumber, 1)
    .action((options: ChatOptions) =>
      run(async () => ((await runChat(options, context)) ? 'interrupted' : undefined)),
    );
}

/** Answers one prompt (given, or piped), or talks on a terminal. Returns whether it was left by Ctrl-C. */
async function runChat(options: ChatOptions, context: CommandContext): Promise<boolean> {
  const adapter =
    options.adapter === undefined ? undefined : await readAdapter(options.adapter, options.task);
  if (options.task !== undefined && options.adapter === undefined)
    throw failure('CLI_OPTIONS_INVALID', '--task names a task of a run; give its folder with --adapter');
  const schema = options.schema === undefined ? undefined : await readSchema(options.schema);
  const kernels = await openKernels({ threads: options.threads });
  const model = await loadModel(await locateModel(options.model, context), { kernels });
  if (!options.plain && model.tokenizer.chatTemplate === undefined)
    throw failure(
      'CLI_OPTIONS_INVALID',
      `${options.model} has no chat template; --plain gives it the prompt as it is`,
    );
  const segments = adapter && uploadAdapter(model.spec, adapter);
  const { temperature, topK, topP, repetitionPenalty, seed, maxTokens } = options;
  const settings: GenerateOptions = {
    temperature,
    seed,
    maximumNewTokens: maxTokens,
    ...(topK === undefined ? {} : { topK }),
    ...(topP === undefined ? {} : { topP }),
    ...(repetitionPenalty === undefined ? {} : { repetitionPenalty }),
    ...(segments ? { segments: segments.byLinear } : {}),
    ...(schema === undefined
      ? {}
      : { constraint: jsonConstraint(model.tokenizer, schema, { where: options.schema ?? '' }) }),
  };
  const talk = { model, options, settings, context };
  try {
    if (options.prompt !== undefined) return await answerOnce(talk, options.prompt);
    if (!context.input.isTTY) return await answerOnce(talk, await readAll(context.input));
    return await converse(talk);
  } finally {
    segments?.dispose();
    model.dispose();
  }
}

interface Talk {
  readonly model: LoadedModel;
  readonly options: ChatOptions;
  readonly settings: GenerateOptions;
  readonly context: CommandContext;
}

/** Streams an answer to the output. */
async function answer(
  { model, options, settings, context }: Talk,
  messages: readonly ChatMessage[],
  { signal, seed, conversation }: { signal: AbortSignal; seed: number; conversation?: Conversation },
): Promise<GenerationResult> {
  const prompt = options.plain
    ? (messages.at(-1)?.content ?? '')
    : model.tokenizer.encode(renderChat(model.tokenizer, messages, { now: context.now() }));
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

const opening = ({ system }: ChatOptions): ChatMessage[] =>
  system === undefined ? [] : [{ role: 'system', content: system }];

async function answerOnce(talk: Talk, text: string): Promise<boolean> {
  if (text.trim() === '')
    throw failure('CLI_OPTIONS_INVALID', 'the prompt is empty; give --prompt, or pipe a text');
  const { options, context } = talk;
  const messages = [...opening(options), { role: 'user', content: text }];
  const { finish } = await answer(talk, messages, { signal: context.signal, seed: options.seed });
  return finish === 'aborted';
}

/** Line by line until the end of input or two Ctrl-C in a row. */
async function converse(talk: Talk): Promise<boolean> {
  const { options, context } = talk;
  const lines = createInterface({ input: context.input, output: context.output, prompt: '> ' });
  const conversation = openConversation(talk.model);
  let messages = opening(options);
  let answering: AbortController | undefined;
  let isSecond = false;
  let left = false;
  const interrupt = () => {
    if (isSecond) {
      left = true;
      answering?.abort();
      lines.close();
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
  // While a terminal is read, Ctrl-C comes as a key.
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
      const asked = [...messages, { role: 'user', content: line }];
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
    lines.close();
    conversation.dispose();
  }
  return left;
}

/** Errors that concern one turn only. */
const turnErrors: ReadonlySet<ModelErrorCode> = new Set([
  'MODEL_CONTEXT_FULL',
  'MODEL_NO_TOKEN',
  'MODEL_TEMPLATE_FAILED',
]);

/** A PEFT folder; with a task, the task's adapter in a run's folder or a partition's. */
async function readAdapter(
  directory: string,
  task: string | undefined,
): Promise<Pick<PeftAdapter, 'modules'>> {
  const isFile = async (...path: string[]) =>
    (await stat(join(directory, ...path)).catch(() => undefined))?.isFile() ?? false;
  const places = [directory, join(directory, 'partition')];
  for (const place of places) {
    if (!(await isFile(place === directory ? '' : 'partition', 'partition.json'))) continue;
    const { partition, segments } = await readPartition(place);
    const known = partition.order.join(', ');
    if (task === undefined)
      throw failure(
        'CLI_OPTIONS_INVALID',
        `${directory} holds several tasks; choose one with --task: ${known}`,
      );
    if (!partition.order.includes(task))
      throw failure('CLI_OPTIONS_INVALID', `${directory} has no task "${task}"; it has ${known}`);
    return { modules: composeTask(partition, segments, task) };
  }
  return readPeftFolder(task === undefined ? directory : join(directory, task));
}

async function readSchema(path: string): Promise<unknown> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw failure('CLI_FILE_INVALID', `cannot read the schema ${path}; is the path right?`, { cause });
  });
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw failure('CLI_FILE_INVALID', `${path} is not JSON: ${(cause as Error).message}`, { cause });
  }
}

async function readAll(input: NodeJS.ReadableStream): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of input) parts.push(Buffer.from(part));
  return Buffer.concat(parts).toString('utf8');
}

const failure = (code: CliErrorCode, what: string, options?: ErrorOptions) =>
  new CliError(code, 'chat', what, options);
