/**
 * Trains the demo's baselines in a process of their own, beside the method: small models use one core each best.
 *
 * The command forks itself with {@link baselineCommand}; messages go over the IPC channel, segments through files.
 */
import { fork } from 'node:child_process';

import { openKernels } from '@contextlora/kernels';
import { writePartition } from '@contextlora/lora';
import { loadModel } from '@contextlora/model';
import type { TrainEvent } from '@contextlora/trainer';
import { join } from 'node:path';

import { pixelProbe } from '../run/pixel-probe.js';
import { readTaskData } from '../run/read-task-data.js';
import type { TrainSettings } from '../run/train-context.js';
import { type TrainedSegments, trainEmptyGraph, trainJoint } from '../run/train-baselines.js';

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

/** The child's side: trains, writes `empty/` and `joint/` below the output directory, and reports through `send`. */
export async function runBaselines(
  job: BaselineJob,
  send: (message: BaselineMessage) => void,
): Promise<void> {
  const kernels = await openKernels();
  const base = await loadModel(job.modelDirectory, { kernels });
  const data = await readTaskData(job.taskFile, { dataDirectory: job.dataDirectory });
  const { settings } = job;
  const stepsOf = (task: string) =>
    typeof settings.steps === 'number' ? settings.steps : (settings.steps[task] ?? 0);
  const ids = data.file.tasks.map(({ id }) => id);
  const dependent = ids.filter((id) => data.graph.inDegree(id) > 0);
  const total = [...ids, ...dependent].reduce((sum, id) => sum + stepsOf(id), 0);
  let done = 0;
  const follow = async (events: AsyncGenerator<TrainEvent, TrainedSegments>): Promise<TrainedSegments> => {
    for (;;) {
      const next = await events.next();
      if (next.done) return next.value;
      if (next.value.type === 'step') send({ type: 'progress', done: ++done, total });
    }
  };
  const empty = await follow(trainEmptyGraph(base, data, settings));
  await writePartition(join(job.outputDirectory, 'empty'), empty.partition, empty.segments);
  const joint = await follow(trainJoint(base, data, { ...settings, learningRate: job.jointLearningRate }));
  await writePartition(join(job.outputDirectory, 'joint'), joint.partition, joint.segments);
  for (const task of data.file.tasks) {
    const rows = data.rows[task.id];
    const accuracies = rows && (await pixelProbe(task, rows, { seed: settings.seed }));
    if (accuracies) send({ type: 'probe', task: task.id, accuracies });
  }
  send({ type: 'done' });
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
      completed ||= message.type === 'done';
      onMessage(message);
    });
    child.on('error', reject);
    child.on('exit', (code) => {
      if (completed) resolve();
      else
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
