/** Opens a run for use: finished or stopped, its files proved before any of them counts. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Segments } from '@contextlora/lora';
import { hashPartition, hashSegment, readPartition } from '@contextlora/lora/files';
import { segmentsOfState } from '@contextlora/model';
import { buildTaskGraph, nearestSpelling, type TaskGraph } from '@contextlora/task-graph';
import { splitBest } from '@contextlora/trainer';
import { fileCheckpoints } from '@contextlora/trainer/files';

import { FinetuneError } from '../finetune-error.js';
import { withMetrics } from './metrics-in-checkpoints.js';
import { descriptionFile, readDescription, type RunDescription } from './run-description.js';
import { readSettledManifest } from './install-change.js';
import { withParentAnswers } from './parent-answers-in-checkpoints.js';
import { manifestFile } from './run-manifest.js';

export interface OpenedRun extends RunDescription {
  readonly directory: string;
  /** What made the run: `train` or `demo`. */
  readonly kind: string;
  /** Whether it has nothing left to do. */
  readonly isFinished: boolean;
  readonly graph: TaskGraph;
  /** The tasks that are trained, in the order in which they were: all of a finished run. */
  readonly trainedTasks: readonly string[];
  /** The segments of these tasks. */
  readonly segments: Segments;
}

/**
 * Reads a run. Of one that was stopped, or that trains while it is read, the segments come from its checkpoint.
 *
 * @throws FinetuneError `FINETUNE_RUN_MISSING` when the directory is not that of a run, `FINETUNE_RUN_DAMAGED`, LoraError or TrainerError
 * when a file is not as it was written.
 */
export async function openRun(directory: string): Promise<OpenedRun> {
  for (let attempt = 1; ; attempt++) {
    const before = await readPointers(directory);
    try {
      return await readRun(directory);
    } catch (error) {
      // Files that another process has replaced meanwhile are not damaged.
      if (attempt === mostAttempts || (await readPointers(directory)) === before) throw error;
    }
  }
}

/** A process that works in the directory saves every few seconds at most, which is longer than reading takes. */
const mostAttempts = 20;

/** The files that say which others count, and are replaced whole. */
async function readPointers(directory: string): Promise<string> {
  const texts = await Promise.all(
    [manifestFile, join('checkpoints', 'latest.json')].map((name) =>
      readFile(join(directory, name), 'utf8').catch((error: unknown) => String(error)),
    ),
  );
  return texts.join('\0');
}

async function readRun(directory: string): Promise<OpenedRun> {
  const manifest = await readSettledManifest(directory);
  if (!manifest)
    throw new FinetuneError(
      'FINETUNE_RUN_MISSING',
      'openRun',
      `${directory} is not the directory of a run (it has no ${manifestFile}); "contextlora train" and "contextlora demo" make one with --out`,
    );
  const description = await readDescription(directory, manifest.files[descriptionFile]);
  const { isFinished, kind } = manifest;
  const read = isFinished ? readFinished : readStopped;
  return {
    ...description,
    directory,
    kind,
    isFinished,
    graph: buildTaskGraph(description.file.tasks),
    ...(await read(directory, description)),
  };
}

type Trained = Pick<OpenedRun, 'trainedTasks' | 'segments'>;

async function readFinished(directory: string, { partition, phases }: RunDescription): Promise<Trained> {
  const read = await readPartition(join(directory, 'partition'));
  if (hashPartition(read.partition) !== hashPartition(partition))
    throw damaged(`${join(directory, 'partition')} is of another run; copy the run again`);
  return { trainedTasks: phases.flatMap(({ tasks }) => tasks), segments: read.segments };
}

async function readStopped(directory: string, { partition, phases }: RunDescription): Promise<Trained> {
  const saved = fileCheckpoints(join(directory, 'checkpoints'));
  const checkpoint = await withMetrics(withParentAnswers(saved, new Map()), []).load();
  if (!checkpoint) return { trainedTasks: [], segments: {} };
  const all = segmentsOfState(splitBest(checkpoint.files).files, partition);
  const trainedTasks = phases.slice(0, checkpoint.position.phase).flatMap(({ tasks }) => tasks);
  const segments = Object.fromEntries(trainedTasks.map((task) => [task, all[task] ?? {}]));
  const changed = trainedTasks.filter(
    (task) => hashSegment(segments[task] ?? {}) !== checkpoint.position.certificate[task],
  );
  if (changed.length > 0)
    throw damaged(
      `the checkpoint in ${directory} has other segments than its certificate: ${changed.join(', ')}; copy the run again`,
    );
  return { trainedTasks, segments };
}

/**
 * Checks that a task of the run can be used.
 *
 * @throws FinetuneError `FINETUNE_TASK_UNKNOWN` with the nearest name, `FINETUNE_TASK_UNTRAINED` for one that the run had no time for.
 */
export function requireTrained({ directory, graph, trainedTasks }: OpenedRun, task: string): void {
  if (!graph.hasNode(task)) {
    const near = nearestSpelling(task, graph.nodes());
    throw new FinetuneError(
      'FINETUNE_TASK_UNKNOWN',
      'openRun',
      `${directory} has no task "${task}"${near === undefined ? '' : `; did you mean "${near}"?`}; its tasks are ${graph.nodes().join(', ')}`,
    );
  }
  if (!trainedTasks.includes(task))
    throw new FinetuneError(
      'FINETUNE_TASK_UNTRAINED',
      'openRun',
      `the run in ${directory} was stopped before it had trained task "${task}"; ` +
        `${trainedTasks.length > 0 ? `it has ${trainedTasks.join(', ')}` : 'it has trained none'}; "contextlora train … --resume" goes on with it`,
    );
}

const damaged = (what: string) => new FinetuneError('FINETUNE_RUN_DAMAGED', 'openRun', what);
