/** The time of a training step: predicted by a plan for this machine, and measured. */
import { measuredDevice, type Timing, undisturbed } from '@contextlora/jetson';
import type { Kernels } from '@contextlora/kernels';
import { initialiseSegments, partitionRanks } from '@contextlora/lora';
import {
  createLocalModel,
  linearsOf,
  type LoadedModel,
  type Example,
  type TextSpec,
} from '@contextlora/model';
import { type DeviceProfile, plan } from '@contextlora/scheduler';
import { profileModel, sampleShapeOf, workloadsOf } from '@contextlora/workloads';

import { randomModel } from '../../model/bench/random-model.js';
import { small, smolLm2 } from '../../model/bench/shapes.js';

export interface PredictedStep {
  readonly model: string;
  /** Per sample. */
  readonly tokens: number;
  readonly samples: number;
  /** Medians over the rounds: from a profile of passes of this shape, and of one sample of the model's first shape. */
  readonly predictedSeconds: number;
  readonly predictedByOneSample: number;
  readonly measuredSeconds: number;
  /** predicted / measured − 1 */
  readonly error: number;
  readonly errorByOneSample: number;
  /** (upper − lower quartile) / median of the measured steps. */
  readonly spread: number;
}

/** `tokens` are the tokens of the profile of one sample. */
const cases: readonly {
  readonly model: string;
  readonly text: TextSpec;
  readonly tokens: number;
  readonly steps: readonly { readonly tokens: number; readonly samples: number }[];
}[] = [
  {
    model: 'tiny, 128 × 4',
    text: small,
    tokens: 64,
    steps: [
      { tokens: 64, samples: 1 },
      { tokens: 64, samples: 8 },
      { tokens: 128, samples: 4 },
    ],
  },
  {
    model: 'middle, 288 × 6',
    text: {
      ...small,
      vocabularySize: 4096,
      hiddenSize: 288,
      mlpSize: 768,
      layerCount: 6,
      heads: 6,
      kvHeads: 6,
      headDim: 48,
    },
    tokens: 64,
    steps: [
      { tokens: 64, samples: 1 },
      { tokens: 64, samples: 8 },
      { tokens: 128, samples: 4 },
    ],
  },
  {
    model: 'SmolLM2-135M, 576 × 30',
    text: smolLm2,
    tokens: 32,
    steps: [
      { tokens: 32, samples: 1 },
      { tokens: 32, samples: 4 },
      { tokens: 64, samples: 2 },
    ],
  },
];
const rank = 8;
const task = 'task';
const labels = ['1', '2'];

export interface PredictionOptions {
  readonly clock: () => number;
  readonly cpuSeconds: () => number;
  readonly rounds: number;
  readonly budgetSeconds: number;
}

/** Profiles and steps alternate, so that a disturbance affects both. */
export async function predictionErrors(
  kernels: Kernels,
  { clock, cpuSeconds, rounds, budgetSeconds }: PredictionOptions,
): Promise<PredictedStep[]> {
  const found: PredictedStep[] = [];
  for (const { model, text, tokens, steps } of cases) {
    const base = randomModel(text, kernels, 'f32');
    const predicted = steps.map((): number[] => []);
    const byOneSample = steps.map((): number[] => []);
    const measured = steps.map((): Timing[] => []);
    for (let round = 0; round < rounds; round++) {
      const profile = async (shape: { readonly tokens: number; readonly batch: number }) => {
        const { rates, overheadSeconds } = await profileModel(base, {
          ...shape,
          clock,
          cpuSeconds,
          budgetSeconds,
          rank,
        });
        return measuredDevice(rates, { id: 'this machine', memoryBytes: 1e12, overheadSeconds });
      };
      const oneSample = await profile({ tokens, batch: 1 });
      for (const [index, step] of steps.entries()) {
        const { workload, takeSteps } = stepOf(base, step);
        const secondsOn = (device: DeviceProfile) =>
          plan([workload], { devices: [device], links: [] }, { microbatches: [1], peers: [] }).totalSeconds;
        byOneSample[index]!.push(secondsOn(oneSample));
        predicted[index]!.push(secondsOn(await profile({ tokens: step.tokens, batch: step.samples })));
        measured[index]!.push(...(await takeSteps(clock, cpuSeconds)));
      }
    }
    for (const [index, step] of steps.entries()) {
      const [, predictedSeconds] = quartiles(predicted[index]!);
      const [, predictedByOneSample] = quartiles(byOneSample[index]!);
      const [low, measuredSeconds, high] = quartiles(
        undisturbed(measured[index]!, 5).map(({ seconds }) => seconds),
      );
      found.push({
        model,
        ...step,
        predictedSeconds,
        predictedByOneSample,
        measuredSeconds,
        error: predictedSeconds / measuredSeconds - 1,
        errorByOneSample: predictedByOneSample / measuredSeconds - 1,
        spread: (high - low) / measuredSeconds,
      });
    }
  }
  return found;
}

/** A step as a workload, and a function that runs a few steps and returns their seconds. */
function stepOf(base: LoadedModel, { tokens, samples }: { tokens: number; samples: number }) {
  const partition = partitionRanks(linearsOf(base.spec), [{ id: task, dependsOn: [] }], { rank });
  const phase = { tasks: [task], roles: { [task]: { [task]: 'train' as const } } };
  // The tokenizer adds one token before the prompt.
  const prompt = Array.from({ length: tokens - 1 }, (_, i) => String(i % 10)).join(' ');
  const examples: Example[] = Array.from({ length: samples }, () => ({ prompt, answer: '1', labels }));
  const shape = sampleShapeOf(base, examples);
  const [workload] = workloadsOf(base.spec, partition, [phase], {
    trainingOf: () => ({ sample: shape, samples, steps: 1 }),
  });
  return {
    workload: { ...workload!, dependsOn: [] },
    takeSteps: async (clock: () => number, cpuSeconds: () => number): Promise<Timing[]> => {
      await using model = createLocalModel(base, {
        partition,
        segments: initialiseSegments(partition, { seed: 0 }),
      });
      await model.setPhase(phase);
      const timings: Timing[] = [];
      const begin = clock();
      for (let step = 0; step < 10 || clock() - begin < 0.7; step++) {
        const [start, cpuStart] = [clock(), cpuSeconds()];
        await model.step(task, [examples], { learningRate: 1e-6 });
        // The first steps fill caches that later ones use.
        if (step >= 3) timings.push({ seconds: clock() - start, cpuSeconds: cpuSeconds() - cpuStart });
      }
      return timings;
    },
  };
}

export function quartiles(values: readonly number[]): [number, number, number] {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))]!;
  return [at(0.25), at(0.5), at(0.75)];
}
