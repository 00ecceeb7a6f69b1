/** What training on several devices needs, whichever they are. */
import { trainingExamples, type TaskData, type TrainSettings } from '@contextlora/finetune';
import { measuredDevice } from '@contextlora/jetson';
import type { Segments } from '@contextlora/lora';
import {
  type AnswerPrediction,
  type BaseFormat,
  createLocalModel,
  type LoadedModel,
  type LocalModel,
  type LocalModelOptions,
} from '@contextlora/model';
import type { PlacedPipeline } from '@contextlora/runtime';
import type { Cluster, DeviceProfile } from '@contextlora/scheduler';
import type { Phase } from '@contextlora/trainer';
import {
  type PipelineSideOptions,
  placeLanes,
  profileModel,
  sampleShapeOf,
  workloadsOf,
} from '@contextlora/workloads';

import type { CommandContext } from '../command-context.js';
import type { StepFiles } from './pipeline-report.js';

/** The devices that train in place of this process. */
export interface TrainingPool extends AsyncDisposable {
  /** In place of `createLocalModel`. */
  readonly createModel: (base: LoadedModel, options: LocalModelOptions) => LocalModel;
  report(files: StepFiles): Promise<void>;
}

/** What is trained on them. */
export interface PooledRun {
  readonly modelPath: string;
  readonly baseFormat: BaseFormat | undefined;
  readonly data: TaskData;
  readonly settings: TrainSettings;
  readonly phases: () => readonly Phase[];
}

/** Decides where layers go. */
export type PlaceOnDevices = (devices: readonly string[], tasks: readonly string[]) => PlacedPipeline[];

/** Places the tasks of a run; costs come from its partition and its longest-seen rows. */
export function placeOnDevices(
  base: LoadedModel,
  partition: LocalModelOptions['partition'],
  { data, settings, phases }: PooledRun,
  clusterOf: (devices: readonly string[]) => Cluster,
): PlaceOnDevices {
  const examplesOf = (task: string) =>
    trainingExamples(data.graph.getNodeAttributes(task), [...(data.rows[task]?.train ?? [])].slice(0, 64));
  return (devices, tasks) =>
    placeLanes(devices, tasks, {
      cluster: clusterOf(devices),
      microbatches: settings.microBatches ?? 1,
      workloads: workloadsOf(base.spec, partition, phases(), {
        trainingOf: (task) => ({
          sample: sampleShapeOf(base, examplesOf(task)),
          samples: settings.batchSize,
        }),
      }),
    });
}

/** What this machine can do with the layers of a model, measured in a second. */
export async function profileHere(
  base: LoadedModel,
  { batchSize, microBatches = 1 }: TrainSettings,
  { clock }: Pick<CommandContext, 'clock'>,
): Promise<(device: { readonly id: string; readonly memoryBytes: number }) => DeviceProfile> {
  const { rates, overheadSeconds } = await profileModel(base, {
    clock,
    budgetSeconds: 1,
    tokens: 32,
    batch: Math.max(1, Math.round(batchSize / microBatches)),
    rank: 4,
  });
  return (device) => ({ ...measuredDevice(rates, device), overheadSeconds });
}

/** Answers in this process, which has the whole base. */
export function answerHere(
  base: LoadedModel,
  options: Pick<LocalModelOptions, 'partition' | 'features'>,
): PipelineSideOptions<AnswerPrediction>['predict'] {
  let answering: { readonly of: Segments; readonly model: LocalModel } | undefined;
  return async (segments, task, examples, roles) => {
    if (answering?.of !== segments)
      answering = { of: segments, model: createLocalModel(base, { ...options, segments }) };
    return await answering.model.predict(task, examples, roles);
  };
}
