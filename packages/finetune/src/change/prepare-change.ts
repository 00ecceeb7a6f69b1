/** A changed run before its training: the segments that stay in their place, the others fresh. */
import { hashSegment } from '@contextlora/lora/files';
import type { LoadedModel } from '@contextlora/model';
import type { FreezeCertificate } from '@contextlora/trainer';

import type { TaskData } from '../data/task-data.js';
import type { OpenedRun } from '../run/open-run.js';
import { type PreparedRun, prepareRun } from '../run/train-run.js';
import type { TrainSettings } from '../run/train-settings.js';
import type { ChangePlan } from './plan-change.js';

export interface PrepareChangeOptions {
  readonly run: Pick<OpenedRun, 'partition' | 'segments'>;
  readonly plan: ChangePlan;
  readonly settings: TrainSettings;
  /** Whether the rows are known to fit into the model's context, because `fitRows` returned them. @default false */
  readonly rowsFit?: boolean;
}

/**
 * As `prepareRun`, for a changed run: its phases are those of the tasks that train. With them it ends as a run of the new task file would that
 * has these settings, to the byte.
 */
export function prepareChange(
  base: LoadedModel,
  data: TaskData,
  { run, plan, settings, rowsFit = false }: PrepareChangeOptions,
): PreparedRun {
  const { kept, retrained } = plan;
  const segments = Object.entries(run.segments).filter(([task]) => kept.includes(task));
  return prepareRun(base, data, {
    settings,
    rowsFit,
    kept: {
      partition: run.partition,
      segments: Object.fromEntries(segments),
      ranks: [...kept, ...retrained.map(({ task }) => task)],
    },
  });
}

/** SHA-256 of the segments of the given tasks. */
export const certifyTasks = (
  segments: OpenedRun['segments'],
  tasks: readonly string[] = Object.keys(segments),
): FreezeCertificate => Object.fromEntries(tasks.map((task) => [task, hashSegment(segments[task] ?? {})]));
