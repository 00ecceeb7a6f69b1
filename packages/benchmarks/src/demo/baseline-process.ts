/**
 * Trains the demo's joint baseline and its pixel probes in a process of their own, beside the method: one core each is best for a
 * small model.
 *
 * The command forks itself with {@link baselineCommand}; messages go over the IPC channel, segments through files.
 */
import { fork } from 'node:child_process';

import { openKernels } from '@contextlora/kernels';
import { writePartition } from '@contextlora/lora';
import { loadModel } from '@contextlora/model';

import { pixelProbe } from '../run/pixel-probe.js';
import { readTaskData } from '../run/read-task-data.js';
import type { TrainSettings } from '../run/train-context.js';
import { trainJoint } from '../run/train-baselines.js';

/** The hidden subcommand that runs {@link runBaselines}. */
export const baselineCommand = 'demo-baselines';

/** Plain JSON: it is handed over as a command-line argument. */
export interface BaselineJob {
  readonly taskFile: string;
  readonly dataDirectory: string;
  readonly modelDirectory: string;
  readonly outputDirectory: string;
  readonly settings: TrainSettings;
  readonly jointLearningRate: number;
}

export type BaselineMessage =
  | { readonly type: 'progress'; readonly done: number; readonly total: number }
  | { readonly type: 'probe'; readonly task: string; readonly accuracies: Readonly<Record<string, number>> }
  | { readonly type: 'done' };

/** The child's side: trains, writes the partition into the output directory, and reports through `send`. */
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
  /** Resolves when the child is done, rejects when it failed. */
  readonly finished: Promise<void>;
  stop(): void;
}

/** The parent's side: starts `command` (this very program) with the job. */
export function startBaselines(
  job: BaselineJob,
  { command, onMessage }: { command: string; onMessage: (message: BaselineMessage) => void },
): BaselineProcess {
  const child = fork(command, [baselineCommand, JSON.stringify(job)], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let said = '';
  child.stderr?.on('data', (text: Buffer) => {
    said += text.toString();
  });
  let completed = false;
  const finished = new Promise<void>((resolve, reject) => {
    child.on('message', (message: BaselineMessage) => {
      onMessage(message);
      if (message.type === 'done') {
        completed = true;
        resolve();
      }
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (!completed)
        reject(
          new Error(
            `contextlora/demo: the baselines' process ended with code ${String(code)}:\n${said.trim()}`,
          ),
        );
    });
  });
  // Whoever awaits it sees the rejection; until then it must not count as unhandled.
  finished.catch(() => undefined);
  return {
    finished,
    stop: () => {
      child.kill();
    },
  };
}
