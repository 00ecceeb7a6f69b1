/** `contextlora chat`: a conversation with a model, with or without a task's adapter. */
import { readFile } from 'node:fs/promises';

import type { OpenedRun } from '@contextlora/finetune';
import { openKernels } from '@contextlora/kernels';
import {
  type GenerateOptions,
  jsonConstraint,
  loadModel,
  locateModel,
  readChatImage,
  readChatSound,
  templatePlaces,
  withAdapter,
} from '@contextlora/model';

import { CliError, type CliErrorCode } from '../cli-error.js';
import type { CommandContext } from '../command-context.js';
import type { CommandSetup } from '../command-setup.js';
import { helpExamples } from '../help-examples.js';
import { naturalNumber, nonNegativeNumber, positiveNumber } from '../option-values.js';
import { answerOnce, converse, type TalkOptions } from './converse.js';
import { readAdapter } from './read-adapter.js';
import { locateRunModel } from './run-model.js';

interface ChatOptions extends TalkOptions {
  readonly model?: string;
  readonly image?: string;
  readonly audio?: string;
  readonly adapter?: string;
  readonly task?: string;
  readonly prompt?: string;
  readonly schema?: string;
  readonly temperature: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly repetitionPenalty?: number;
  readonly maxTokens: number;
  readonly threads: number;
}

export function addChatCommand({ program, context, run }: CommandSetup): void {
  program
    .command('chat')
    .description('talk to a model on the terminal, or answer one prompt')
    .option(
      '--model <path>',
      'model directory, GGUF file, or name in the Hugging Face cache (default: the base of the run)',
    )
    .option('--image <file>', 'picture that the first message is about')
    .option('--audio <file>', 'sound that the first message is about: WAV, FLAC, MP3 or Ogg Vorbis')
    .option('--adapter <directory>', 'PEFT folder, or directory of a run')
    .option('--task <name>', 'with the directory of a run: task whose adapter to use')
    .option('--system <text>', 'system message')
    .option('--prompt <text>', 'answer this prompt and exit (default: what is piped in)')
    .option('--plain', 'continue the prompt as it is, without the chat template', false)
    .option('--schema <file>', 'JSON schema that the answer must match')
    .option(
      '--temperature <t>',
      'sampling temperature; 0 always takes the most likely token',
      nonNegativeNumber,
      0,
    )
    .option('--top-k <n>', 'sample from this many of the most likely tokens', naturalNumber)
    .option('--top-p <p>', 'sample from the most likely tokens up to this total probability', positiveNumber)
    .option('--repetition-penalty <p>', 'above 1 discourages repetition', positiveNumber)
    .option('--seed <n>', 'random seed for sampling', naturalNumber, 0)
    .option('--max-tokens <n>', 'maximum length of an answer', naturalNumber, 256)
    .option('--threads <n>', 'threads per native operation', naturalNumber, 1)
    .addHelpText(
      'after',
      helpExamples([
        ['contextlora chat --model ./SmolLM2-135M-Instruct', 'talk to a model'],
        [
          'contextlora chat --model ./model --adapter run --task road --prompt "May I pass?"',
          'ask a trained task',
        ],
        [
          'contextlora chat --model ./SmolVLM-256M-Instruct --image scene.png --prompt "What is on the road?"',
          'ask about a picture',
        ],
        [
          'contextlora chat --model ./Qwen2-Audio-7B-Instruct --audio call.wav --prompt "What is said?"',
          'ask about a sound',
        ],
        [
          'git diff | contextlora chat --model ./model.gguf --system "Describe this change in one line."',
          'answer piped text',
        ],
        [
          'contextlora chat --model ./model --schema answer.json --prompt "Weather?"',
          'get an answer in JSON',
        ],
      ]),
    )
    .action((options: ChatOptions) =>
      run(async () => ((await runChat(options, context)) ? 'interrupted' : undefined)),
    );
}

/** Answers one prompt, given or piped, or talks on a terminal. Returns whether Ctrl-C ended it. */
async function runChat(options: ChatOptions, context: CommandContext): Promise<boolean> {
  if (options.task !== undefined && options.adapter === undefined)
    throw failure('CLI_OPTIONS_INVALID', '--task names a task of a run; give its folder with --adapter');
  const found = options.adapter === undefined ? undefined : await readAdapter(options.adapter, options.task);
  const schema = options.schema === undefined ? undefined : await readSchema(options.schema);
  const kernels = await openKernels({ threads: options.threads });
  const path = await modelPath(options, found?.run, context);
  // The base of the run as it was in training; a model that is named is taken as it is.
  const baseFormat = options.model === undefined ? found?.run?.settings.baseFormat : undefined;
  const base = await loadModel(path, { kernels, ...(baseFormat === undefined ? {} : { base: baseFormat }) });
  if (!options.plain && base.tokenizer.chatTemplate === undefined)
    throw failure(
      'CLI_OPTIONS_INVALID',
      `${path} has no chat template (looked for in ${templatePlaces.join(', ')}); --plain gives it the prompt as it is`,
    );
  const adapted = found && withAdapter(base, found.adapter);
  const model = adapted?.model ?? base;
  // Without a template the prompt has the form of training, where pictures stay whole.
  const image =
    options.image === undefined
      ? undefined
      : { ...(await readChatImage(model, options.image, { whole: options.plain })), path: options.image };
  const sound = options.audio === undefined ? undefined : await readChatSound(model, options.audio);
  const { temperature, topK, topP, repetitionPenalty, seed, maxTokens } = options;
  const settings: GenerateOptions = {
    temperature,
    seed,
    maximumNewTokens: maxTokens,
    ...(topK === undefined ? {} : { topK }),
    ...(topP === undefined ? {} : { topP }),
    ...(repetitionPenalty === undefined ? {} : { repetitionPenalty }),
    ...(adapted ? { segments: adapted.segments } : {}),
    ...(image ? { image: image.features } : {}),
    ...(sound ? { audio: sound.features } : {}),
    ...(schema === undefined
      ? {}
      : { constraint: jsonConstraint(model.tokenizer, schema, { where: options.schema ?? '' }) }),
  };
  const talk = {
    model,
    options,
    settings,
    context,
    ...(image ? { image } : {}),
    ...(sound ? { sound } : {}),
  };
  try {
    if (options.prompt !== undefined) return await answerOnce(talk, options.prompt);
    if (!context.input.isTTY) return await answerOnce(talk, await readAll(context.input));
    return await converse(talk);
  } finally {
    adapted?.dispose();
    base.dispose();
  }
}

/** The model that was named, or the base of the run whose adapter is used. */
async function modelPath(
  { model }: ChatOptions,
  run: OpenedRun | undefined,
  context: CommandContext,
): Promise<string> {
  if (model !== undefined) return locateModel(model, context);
  if (run) return locateRunModel(run, {}, context);
  throw failure(
    'CLI_OPTIONS_INVALID',
    'name a model with --model, or a run with --adapter, whose base is taken',
  );
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
