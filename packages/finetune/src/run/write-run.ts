/** The files of a finished run: its partition, a PEFT adapter per task, and its report. */
import { join } from 'node:path';

import { composeTask, type Partition, type Segments } from '@contextlora/lora';
import { writeDigests, writePartition, writePeftFolder, writeWhole } from '@contextlora/lora/files';

import type { RunReport } from '../report/run-report.js';

/** A file or folder of a run, relative to the run's directory, and its content in words. */
export interface WrittenFile {
  readonly path: string;
  readonly content: string;
}

export interface FinishedRun {
  readonly partition: Partition;
  readonly segments: Segments;
  readonly report: RunReport;
  /** Name or path of the base as the user gave it; PEFT finds it by this name. */
  readonly baseModel?: string;
}

/** Writes everything below `directory`, and returns what a reader finds there. */
export async function writeRun(
  directory: string,
  { partition, segments, report, baseModel }: FinishedRun,
): Promise<readonly WrittenFile[]> {
  const base = baseModel === undefined ? {} : { baseModel };
  await writePartition(join(directory, 'partition'), partition, segments, base);
  const linears = Object.keys(partition.layers);
  for (const task of partition.order) {
    const adapter = join(directory, 'adapters', task);
    const modules = composeTask(partition, segments, task);
    await writeDigests(adapter, await writePeftFolder(adapter, modules, { ...base, linears }));
  }
  await writeWhole(join(directory, 'report.json'), `${JSON.stringify(report, null, 2)}\n`);
  return [
    { path: 'partition/', content: 'the segments of all tasks, their spans and SHA-256' },
    ...partition.order.map((task) => ({
      path: `adapters/${task}/`,
      content: 'a PEFT adapter: the task with all it builds on',
    })),
    { path: 'report.json', content: 'every number above' },
    { path: 'metrics.jsonl', content: 'every training step' },
    { path: 'tensorboard/', content: 'the same for TensorBoard' },
  ];
}
