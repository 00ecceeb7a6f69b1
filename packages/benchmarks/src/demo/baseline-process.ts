/**
 * Trains the demo's joint baseline and its pixel probes in a second process while the method trains: a small model is fastest on one
 * core.
 *
 * The command forks itself with {@link baselineCommand}; messages go over the IPC channel, segments through files.
 */
import { fork } from 'node:child_process';

import { readTaskData } from '@contextlora/finetune';
import { openKernels } from '@contextlora/kernels';
import { writePartition } from '@contextlora/lora/files';
import { loadModel } from '@contextlora/model';

import { BenchmarksError } from '../benchmarks-error.js';
import { pixelProbe } from '../probe/pixel-probe.js';
import type { DemoSettings } from './demo-scenario.js';
import { trainJoint } from './train-baselines.js';

/** The hidden subcommand that runs {@link runBaselines}. */
export const baselineCommand = 'demo-baselines';

/** Plain JSON: it is passed as a command-line argument. */
export interface BaselineJob {
  readonly taskFile: string;
  readonly dataDirectory: string;
  readonly modelDirectory: string;
  readonly outputDirectory: string;
  readonly settings: DemoSettings;
  readonly jointLearningRate: number;
}

export type BaselineMessage =
  | { readonly type: 'progress'; readonly done: number; readonly total: number }
  | { readonly type: 'probe'; readonly task: string; readonly accuracies: Readonly<Record<string, number>> }
  | { readonly type: 'done' };

/** Runs in the child: trains, writes the partition into the output directory, and reports through `send`. */
export async function runBaselines(
  job: BaselineJob,
  send: (message: BaselineMessage) => Promise<void>,
): Promise<void> {
  const kernels = await openKernels();
  const base = await loadModel(job.modelDirectory, { kernels });
  const data = await readTaskData(job.taskFile, { dataDirectory: job.dataDirectory });
  const { settings, jointLearningRate } = job;
  const events = trainJoint(base, data, { ...settings, learningRate: jointLearningRate });
  for (;;) {
    const next = await events.next();
    if (next.done) {
      await writePartition(job.outputDirectory, next.value.partition, next.value.segments);
      break;
    }
    if (next.value.type === 'step')
      await send({ type: 'progress', done: next.value.step + 1, total: next.value.steps });
  }
  for (const task of data.file.tasks) {
    const rows = data.rows[task.id];
    const accuracies = rows && (await pixelProbe(task, rows, { seed: settings.seed }));
    if (accuracies) await send({ type: 'probe', task: task.id, accuracies });
  }
  await send({ type: 'done' });
}

export interface BaselineProcess {
  /** Resolves when the child is done, rejects if it fails. */
  readonly finished: Promise<void>;
  /** Progress of its training in [0, 1]. */
  share(): number;
  /** Task → test set → accuracy of the pixel probe, as they arrive. */
  readonly probes: ReadonlyMap<string, Readonly<Record<string, number>>>;
  stop(): void;
}

/** Runs in the parent: starts `program` (the command itself) with the job. */
export function startBaselines(job: BaselineJob, { program }: { program: string }): BaselineProcess {
  const child = fork(program, [baselineCommand, JSON.stringify(job)], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let errorText = '';
  child.stderr?.on('data', (text: Buffer) => {
    errorText += text.toString();
  });
  let share = 0;
  let completed = false;
  const probes = new Map<string, Readonly<Record<string, number>>>();
  const finished = new Promise<void>((resolve, reject) => {
    child.on('message', (message: BaselineMessage) => {
      if (message.type === 'progress') share = message.done / message.total;
      if (message.type === 'probe') probes.set(message.task, message.accuracies);
      if (message.type === 'done') {
        completed = true;
        resolve();
      }
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (!completed)
        reject(
          new BenchmarksError(
            'BENCHMARKS_BASELINE_FAILED',
            'startBaselines',
            `the baselines' process ended with code ${String(code)}:\n${errorText.trim()}`,
          ),
        );
    });
  });
  // The caller may await it only later; until then a rejection must not count as unhandled.
  finished.catch(() => undefined);
  return {
    finished,
    share: () => share,
    probes,
    stop: () => {
      // It has nothing to save, and may be in the middle of a long computation.
      child.kill('SIGKILL');
    },
  };
}
