/** Runs, their checkpoints and partitions: everything that consists of segments. */
import { join } from 'node:path';

import type { Partition, Segments } from '@contextlora/lora';
import { hashSegment, readPartition } from '@contextlora/lora/files';
import { decodeSafetensors, toFloat32 } from '@contextlora/lora/safetensors';
import { fileCheckpoints } from '@contextlora/trainer/files';

import { dataReach } from '../change/data-reach.js';
import { describeChange, readHistory } from '../change/run-history.js';
import { openRun } from '../run/open-run.js';
import { flatFacts, type Inspected, type InspectedTensor, nothingToClose } from './inspected.js';

/** A run, finished or stopped: what it was made from, how far it is, and its trained segments. */
export async function inspectRun(path: string): Promise<Inspected> {
  const run = await openRun(path);
  const { file, model, partition, trainedTasks, segments, inputs } = run;
  return {
    kind: 'run',
    path,
    facts: {
      ...(file.name === undefined ? {} : { name: file.name }),
      'made by': run.kind,
      state: run.isFinished ? 'finished' : 'stopped',
      'trained tasks': trainedTasks.join(', '),
      'untrained tasks': partition.order.filter((task) => !trainedTasks.includes(task)).join(', '),
      base: model.name,
      'place of the base': model.path ?? '',
      data: run.dataDirectory,
      ...inputs,
      ...segmentFacts(partition, segments),
      ...Object.fromEntries(
        Object.entries(dataReach(run.graph)).map(([task, reached]) => [
          `tasks that the data of ${task} can reach`,
          reached.join(', '),
        ]),
      ),
      ...Object.fromEntries(
        (await readHistory(path)).map((change, i) => [`change ${i + 1}`, describeChange(change)]),
      ),
    },
    tensors: segmentTensors(segments),
    close: nothingToClose,
  };
}

/** The folder `partition` of a run. */
export async function inspectPartition(path: string): Promise<Inspected> {
  const { partition, segments } = await readPartition(path);
  return {
    kind: 'partition',
    path,
    facts: {
      'the order of the tasks': partition.order.join(', '),
      ...flatFacts(partition.tasks, 'task'),
      ...segmentFacts(partition, segments),
    },
    tensors: segmentTensors(segments),
    close: nothingToClose,
  };
}

/** The folder `checkpoints` of a run: the segments and the optimizer state from which it resumes. */
export async function inspectCheckpoint(path: string): Promise<Inspected> {
  const checkpoint = await fileCheckpoints(path).load();
  const { position, segments, files } = checkpoint ?? { position: undefined, segments: {}, files: {} };
  return {
    kind: 'checkpoint',
    path,
    facts: {
      'phases done': String(position?.phase ?? 0),
      'steps of the next phase': String(position?.step ?? 0),
      ...position?.fingerprint,
      ...Object.fromEntries(Object.entries(segments).map(([task, hash]) => [`segment ${task}`, hash])),
    },
    tensors: Object.entries(files)
      .filter(([name]) => name.endsWith('.safetensors'))
      .flatMap(([name, bytes]) =>
        Array.from(decodeSafetensors(bytes, join(path, name)).tensors, ([tensor, value]) => ({
          name: name === 'segments.safetensors' ? tensor : `${name}/${tensor}`,
          shape: value.shape,
          read: () => Promise.resolve(toFloat32(value)),
        })),
      ),
    close: nothingToClose,
  };
}

/** Rank and SHA-256 of each segment. */
const segmentFacts = (partition: Partition, segments: Segments) =>
  Object.fromEntries(
    Object.entries(segments).flatMap(([task, segment]) => {
      const ranks = [...new Set(Object.values(segment).map(({ rank }) => rank))].sort((a, b) => a - b);
      return [
        [`ranks of ${task}`, ranks.join(', ')],
        [`parents of ${task}`, (partition.tasks[task]?.dependsOn ?? []).join(', ')],
        [`segment ${task}`, hashSegment(segment)],
      ];
    }),
  );

const segmentTensors = (segments: Segments): InspectedTensor[] =>
  Object.entries(segments).flatMap(([task, segment]) =>
    Object.entries(segment).flatMap(([linear, { rank, a, b }]) => [
      { name: `${task}/${linear}/a`, shape: [rank, a.length / rank], read: () => Promise.resolve(a) },
      { name: `${task}/${linear}/b`, shape: [b.length / rank, rank], read: () => Promise.resolve(b) },
    ]),
  );
