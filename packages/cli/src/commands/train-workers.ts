/** `contextlora train --workers`: the layers of the model on worker threads of this machine. */
import { type AnswerPrediction, openImageFeatures, type LoadedModel } from '@contextlora/model';
import { openThreadPipeline } from '@contextlora/workloads';
import type { Command } from 'commander';

import type { CommandContext } from '../command-context.js';
import { naturalNumber } from '../option-values.js';
import { openPipelineReport, type StepFiles } from './pipeline-report.js';
import {
  answerHere,
  placeOnDevices,
  type PooledRun,
  profileHere,
  type TrainingPool,
} from './training-pool.js';

export interface WorkerOptions extends StepFiles {
  readonly workers?: number;
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
    .option('--trace <file>', 'with workers: a step as planned and as measured, as Trace Event JSON')
    .option('--trace-svg <file>', 'with workers: the same as a drawing');
}

export interface TrainingWorkersOptions extends PooledRun {
  readonly count: number;
  /** Of each worker. */
  readonly threads: number;
}

export async function openTrainingWorkers(
  base: LoadedModel,
  { count, threads, ...run }: TrainingWorkersOptions,
  { progress, clock, nodeArguments }: CommandContext,
): Promise<TrainingPool> {
  const devices = Array.from({ length: count }, (_, i) => `worker ${i + 1}`);
  const profile = await profileHere(base, run.settings, { clock });
  const report = openPipelineReport({ progress });
  const cluster = {
    devices: devices.map((id) => profile({ id, memoryBytes: 1e12 })),
    links: [{ from: '*', to: '*', bytesPerSecond: 2e9, latencySeconds: 1e-4 }],
  };
  return {
    createModel(
      of,
      { partition, segments, optimizer, promptLoss = false, dropout, features = openImageFeatures(of) },
    ) {
      const pipeline = openThreadPipeline<AnswerPrediction>({
        modelPath: run.modelPath,
        ...(run.baseFormat === undefined ? {} : { base: run.baseFormat }),
        devices,
        threads,
        text: of,
        partition,
        segments,
        ...(optimizer ? { optimizer } : {}),
        promptLoss,
        dropout,
        execArgv: nodeArguments,
        onEvent: report.onEvent,
        place: placeOnDevices(of, partition, run, () => cluster),
        predict: answerHere(of, { partition, features }),
      });
      return { ...pipeline, features };
    },
    report: (files) => report.write(files),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
