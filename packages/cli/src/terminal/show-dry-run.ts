/** What a run would take, on a terminal. */
import type { MemoryPrediction } from '@contextlora/workloads';

import { clockTime } from './progress.js';
import { formatTable } from './table.js';

export interface DryRun {
  readonly bytes: MemoryPrediction;
  readonly tasks: readonly {
    readonly task: string;
    readonly rows: number;
    readonly steps: number;
    /** Of the longest row. */
    readonly tokens: number;
    readonly seconds: number;
  }[];
  readonly seconds: Readonly<Record<'pictures' | 'sounds' | 'steps' | 'evaluation', number>>;
  /** Whether the measurements agree. */
  readonly settled: boolean;
}

/** A table of the tasks, one of the memory, and the time in all. */
export function dryRunLines({ bytes, tasks, seconds, settled }: DryRun): string[] {
  const about = (time: number) => `about ${clockTime(time)}`;
  const parts: (readonly [string, number])[] = [
    ['program, base and rows', bytes.processBytes],
    ['segments, with copies for checkpoints', bytes.segmentBytes],
    ['gradients and moments, with copies', bytes.optimizerBytes],
    ['activations of a step or of answers', bytes.activationBytes],
    ['activation cache', bytes.cacheBytes],
    ['image features', bytes.featureBytes],
    ['reserve', bytes.reserveBytes],
  ];
  const total = seconds.pictures + seconds.sounds + seconds.steps + seconds.evaluation;
  return [
    ...formatTable(
      ['task', 'rows', 'longest', 'steps', 'time'],
      tasks.map((one) => [
        one.task,
        String(one.rows),
        `${one.tokens} tokens`,
        String(one.steps),
        about(one.seconds),
      ]),
    ),
    '',
    ...formatTable(
      ['memory', 'at most'],
      [...parts.filter(([, part]) => part > 0), ['in all', bytes.totalBytes] as const].map(([name, part]) => [
        name,
        `${Math.ceil(part / 1e6).toLocaleString('en')} MB`,
      ]),
    ),
    '',
    `${about(total)} on this machine: steps ${clockTime(seconds.steps)}, ` +
      `${seconds.pictures > 0 ? `pictures ${clockTime(seconds.pictures)}, ` : ''}${seconds.sounds > 0 ? `sounds ${clockTime(seconds.sounds)}, ` : ''}evaluation ${clockTime(seconds.evaluation)}.` +
      (settled ? '' : ' Measured passes do not agree: the machine is busy with something else.'),
    'Nothing was trained or written.',
  ];
}
