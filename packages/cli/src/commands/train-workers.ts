/** `contextlora train --workers`: the layers of the model on worker threads of this machine. */
import { trainingExamples, type TaskData, type TrainSettings } from '@contextlora/finetune';
import { writeWhole } from '@contextlora/lora/files';
import {
  type AnswerPrediction,
  type BaseFormat,
  createLocalModel,
  type LoadedModel,
  type LocalModel,
  type LocalModelOptions,
  openImageFeatures,
} from '@contextlora/model';
import {
  comparePlan,
  comparisonChart,
  comparisonTrace,
  type MeasuredStep,
  type PipelineEvent,
  type PlacedPipeline,
  refitCluster,
} from '@contextlora/runtime';
import type { Cluster } from '@contextlora/scheduler';
import { drawGanttSvg } from '@contextlora/scheduler/views';
import type { Phase } from '@contextlora/trainer';
import {
  openThreadPipeline,
  placeLanes,
  profileModel,
  sampleShapeOf,
  workloadsOf,
} from '@contextlora/workloads';
import { measuredDevice } from '@contextlora/jetson';
import type { Command } from 'commander';

import type { CommandContext } from '../command-context.js';
import { naturalNumber } from '../option-values.js';

export interface WorkerOptions {
  readonly workers?: number;
  /** Files. */
  readonly trace?: string;
  readonly traceSvg?: string;
}

/** Micro-batches of a step where nothing else is asked for: enough to keep a few stages busy. */
export const workerMicroBatches = 4;

export function addWorkerOptions(command: Command): void {
  command
    .option(
      '--workers <n>',
      `train on so many worker threads, each with a part of the layers; micro-batches are ${workerMicroBatches} unless told otherwise`,
      naturalNumber,
    )
    .option('--trace <file>', 'with --workers: a step as planned and as measured, as Trace Event JSON')
    .option('--trace-svg <file>', 'with --workers: the same as a drawing');
}

export interface TrainingWorkers {
  /** In place of `createLocalModel`. */
  readonly createModel: (base: LoadedModel, options: LocalModelOptions) => LocalModel;
  /** Says how the plan compares with what was measured, and writes the files that were asked for. */
  report(files: Pick<WorkerOptions, 'trace' | 'traceSvg'>): Promise<void>;
}

export interface TrainingWorkersOptions {
  readonly count: number;
  readonly modelPath: string;
  readonly baseFormat: BaseFormat | undefined;
  /** Of each worker. */
  readonly threads: number;
  readonly data: TaskData;
  readonly settings: TrainSettings;
  readonly phases: () => readonly Phase[];
}

/** Steps that are kept for the report, the last ones. */
const keptSteps = 40;

export async function openTrainingWorkers(
  base: LoadedModel,
  { count, modelPath, baseFormat, threads, data, settings, phases }: TrainingWorkersOptions,
  { progress, clock, nodeArguments }: CommandContext,
): Promise<TrainingWorkers> {
  const devices = Array.from({ length: count }, (_, i) => `worker ${i + 1}`);
  const examplesOf = (task: string) =>
    trainingExamples(data.graph.getNodeAttributes(task), [...(data.rows[task]?.train ?? [])].slice(0, 64));
  const { rates, overheadSeconds } = await profileModel(base, {
    clock,
    budgetSeconds: 1,
    tokens: 32,
    batch: Math.max(1, Math.round(settings.batchSize / (settings.microBatches ?? 1))),
    rank: 4,
  });
  const cluster: Cluster = {
    devices: devices.map((id) => ({ ...measuredDevice(rates, { id, memoryBytes: 1e12 }), overheadSeconds })),
    links: [{ from: '*', to: '*', bytesPerSecond: 2e9, latencySeconds: 1e-4 }],
  };
  const steps: MeasuredStep[] = [];
  let placed: PlacedPipeline | undefined;
  const onEvent = (event: PipelineEvent) => {
    if (event.type === 'step') {
      steps.push(event.measured);
      if (steps.length > keptSteps) steps.shift();
    } else if (event.type === 'placed') {
      placed = event.pipeline;
      steps.length = 0;
      progress.print(`  ${describe(placed)}`);
    } else if (event.type === 'lost') progress.print(`  ${event.device} is lost: ${event.reason}`);
    else
      progress.print(
        `  the others go on after ${event.seconds.toFixed(2)} s (${event.stepsRepeated} steps repeated)`,
      );
  };

  return {
    createModel(
      of,
      { partition, segments, optimizer, promptLoss = false, features = openImageFeatures(of) },
    ) {
      let answering: { readonly of: unknown; readonly model: LocalModel } | undefined;
      const pipeline = openThreadPipeline<AnswerPrediction>({
        modelPath,
        ...(baseFormat === undefined ? {} : { base: baseFormat }),
        devices,
        threads,
        text: of,
        partition,
        segments,
        ...(optimizer ? { optimizer } : {}),
        promptLoss,
        execArgv: nodeArguments,
        onEvent,
        place: (left, tasks) =>
          placeLanes(left, tasks, {
            cluster,
            microbatches: settings.microBatches ?? 1,
            workloads: workloadsOf(of.spec, partition, phases(), {
              trainingOf: (task) => ({
                sample: sampleShapeOf(of, examplesOf(task)),
                samples: settings.batchSize,
              }),
            }),
          }),
        async predict(now, task, examples, roles) {
          if (answering?.of !== now)
            answering = { of: now, model: createLocalModel(of, { partition, segments: now, features }) };
          return await answering.model.predict(task, examples, roles);
        },
      });
      return { ...pipeline, features };
    },

    async report({ trace, traceSvg }) {
      const last = steps.at(-1);
      if (!placed || !last) return;
      const half = steps.slice(0, Math.ceil(steps.length / 2));
      const planned = comparePlan(last, placed.cluster);
      const fitted = comparePlan(last, refitCluster(placed.cluster, half));
      progress.print(
        `  A step on the workers: planned ${seconds(planned.planned)}, measured ${seconds(planned.measured)} (${percent(planned.error)}); ` +
          `with the rates of ${half.length} measured steps ${seconds(fitted.planned)} (${percent(fitted.error)})`,
      );
      if (trace !== undefined) await writeWhole(trace, `${JSON.stringify(comparisonTrace(planned, last))}\n`);
      if (traceSvg !== undefined) await writeWhole(traceSvg, drawGanttSvg(comparisonChart(planned, last)));
    },
  };
}

const describe = ({ placement, policy }: PlacedPipeline): string =>
  `${placement.tasks.join(' + ')}: ${placement.stages
    .map(
      ({ start, end, members }) =>
        `${members.map(({ device }) => device).join(' + ')} layers ${start}–${end - 1}`,
    )
    .join(', ')}; ${policy.name}`;

const seconds = ({ makespanSeconds }: { readonly makespanSeconds: number }) =>
  `${(1000 * makespanSeconds).toFixed(1)} ms`;

const percent = (error: number) => `${error < 0 ? '−' : '+'}${Math.abs(100 * error).toFixed(1)} %`;
