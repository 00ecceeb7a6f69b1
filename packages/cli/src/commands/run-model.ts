/** The base model of a run, found again and proved to be the one that it was trained on. */
import { stat } from 'node:fs/promises';

import { embeddedName, embeddedScenario } from '@contextlora/benchmarks';
import type { OpenedRun } from '@contextlora/finetune';
import { type Kernels, openKernels } from '@contextlora/kernels';
import { ifThere } from '@contextlora/lora/files';
import {
  createLocalModel,
  type LoadedModel,
  loadModel,
  locateModel,
  type LocalModel,
  ModelError,
  withChatPrompts,
  withSoundSamples,
} from '@contextlora/model';

import { CliError } from '../cli-error.js';
import type { CommandContext } from '../command-context.js';
import { showModelDigests } from './show-digests.js';

/** Options of every command that uses a run. */
export interface RunModelOptions {
  /** In place of where the model was when the run began. */
  readonly model?: string;
  /** The samples of 16 kHz of the sounds that it is asked about, by path. */
  readonly sounds?: ReadonlyMap<string, number> | undefined;
}

/**
 * The path of a run's base.
 *
 * @throws CliError (`CLI_MODEL_UNKNOWN`) when it has gone, or is another model than that of the run.
 */
export async function locateRunModel(
  { directory, model }: Pick<OpenedRun, 'directory' | 'model'>,
  { model: given }: RunModelOptions,
  context: CommandContext,
): Promise<string> {
  const path = await placeOf(model, given, context).catch((cause: unknown) => {
    if (!(cause instanceof ModelError) || cause.code !== 'MODEL_FILE_MISSING') throw cause;
    throw new CliError(
      'CLI_MODEL_UNKNOWN',
      'run',
      `the model of ${directory} is no longer at ${model.path ?? model.name}; say with --model where it is`,
      { cause },
    );
  });
  const digests = await showModelDigests(path, context);
  const parts = [
    ...new Set([...Object.keys(model.digests), ...Object.keys(digests)]),
  ] as (keyof typeof digests)[];
  const others = parts.filter((part) => digests[part] !== model.digests[part]);
  if (others.length > 0)
    throw new CliError(
      'CLI_MODEL_UNKNOWN',
      'run',
      `${path} is not the model that ${directory} was trained on (another ${others.join(', another ')}); name that one with --model`,
    );
  return path;
}

async function placeOf(
  { name, path }: OpenedRun['model'],
  given: string | undefined,
  context: CommandContext,
): Promise<string> {
  if (given !== undefined) return locateModel(given, context);
  if (path === undefined && name === embeddedName) return embeddedScenario().modelDirectory;
  const isThere = path !== undefined && (await ifThere(stat(path))) !== undefined;
  return locateModel(isThere ? path : name, context);
}

export interface RunModel extends AsyncDisposable {
  readonly base: LoadedModel;
  /** Answers with the segments of the run. */
  readonly model: LocalModel;
}

/** Loads the base of a run, which lies at `path`, in the format and with the form of prompts that the run was trained with. */
export async function loadRunBase(
  { settings: { baseFormat, chatTemplate = false } }: Pick<OpenedRun, 'settings'>,
  { path, kernels }: { readonly path: string; readonly kernels: Kernels },
): Promise<LoadedModel> {
  const base = await loadModel(path, { kernels, ...(baseFormat === undefined ? {} : { base: baseFormat }) });
  return chatTemplate ? withChatPrompts(base) : base;
}

/**
 * Loads the base of a run as it was in training and puts the run's segments on it.
 */
export async function loadRunModel(
  run: OpenedRun,
  { threads, ...options }: RunModelOptions & { readonly threads: number },
  context: CommandContext,
): Promise<RunModel> {
  const path = await locateRunModel(run, options, context);
  const loaded = await loadRunBase(run, { path, kernels: await openKernels({ threads }) });
  const base = withSoundSamples(loaded, options.sounds ?? new Map());
  const model = createLocalModel(base, run);
  return {
    base,
    model,
    async [Symbol.asyncDispose]() {
      await model[Symbol.asyncDispose]();
      base.dispose();
    },
  };
}
