/** How much memory a run will need on this machine: what the process has already, and at most what training adds to it. */
import type { Partition } from '@contextlora/lora';
import { linearsOf, type ModelSpec } from '@contextlora/model';
import { lowestTrainedLayer, type Workload } from '@contextlora/scheduler';
import type { Phase } from '@contextlora/trainer';

import type { SampleShape } from './layer-costs.js';
import { audioBytes, audioFeatureBytes } from './audio-bytes.js';
import { visionBytes, visionFeatureBytes } from './vision-bytes.js';
import { workloadsOf } from './workloads-of.js';

/** What is known of a task before it trains. */
export interface TaskToPredict {
  /** Its longest sample, in training or in a test. */
  readonly sample: SampleShape;
  readonly trainingRows: number;
  /** Whether its labels are scored, or its answers written freely. */
  readonly isLabelTask: boolean;
}

export interface PredictMemoryOptions {
  readonly taskOf: (task: string) => TaskToPredict;
  readonly batchSize: number;
  readonly microBatches: number;
  /** The moments that the optimizer keeps of every trained number: two of AdamW, one of Lion and of SGD with momentum, none of plain SGD. */
  readonly moments: number;
  /** Whether segments leave out inputs, whose masks are kept for the backward pass. @default false */
  readonly dropout?: boolean;
  /** Different pictures. */
  readonly pictures: number;
  /** The samples of 16 kHz of each different sound. @default none */
  readonly sounds?: readonly number[];
  /** What the process holds with the base loaded and the rows read. */
  readonly residentBytes: number;
  /** The most that it has held so far. */
  readonly peakBytes: number;
  /** The prompts that are answered at once. @default 64 */
  readonly predictBatchSize?: number;
  /** Of the activation cache. @default 256 MiB */
  readonly mostActivationBytes?: number;
  /** Of each of the stores of features. @default 1 GiB */
  readonly mostFeatureBytes?: number;
}

/** Bytes. */
export interface MemoryPrediction {
  /** The most that the process will hold. */
  readonly totalBytes: number;
  /** Program, libraries, base and rows. */
  readonly processBytes: number;
  /** All segments and their copies in checkpoints and results. */
  readonly segmentBytes: number;
  /** Gradients and the optimizer's moments, and their copies in checkpoints. */
  readonly optimizerBytes: number;
  /** The larger of a training step, answering a batch, looking at pictures, and hearing a sound: they follow each other. */
  readonly activationBytes: number;
  /** Outputs of the layers below the lowest that trains. */
  readonly cacheBytes: number;
  readonly featureBytes: number;
  /** For what garbage collection has not freed yet and what lies between allocations. */
  readonly reserveBytes: number;
}

/**
 * Predicts the peak of a run from its shapes. It is meant as a bound: `npm run bench:memory` compares it with what runs took.
 */
export function predictMemory(
  spec: ModelSpec,
  { partition, phases }: { readonly partition: Partition; readonly phases: readonly Phase[] },
  {
    taskOf,
    batchSize,
    microBatches,
    moments,
    dropout = false,
    pictures,
    sounds = [],
    residentBytes,
    peakBytes,
    predictBatchSize = 64,
    mostActivationBytes = 2 ** 28,
    mostFeatureBytes = 2 ** 30,
  }: PredictMemoryOptions,
): MemoryPrediction {
  const samples = Math.ceil(batchSize / microBatches);
  const workloads = workloadsOf(spec, partition, phases, {
    trainingOf: (task) => ({ sample: taskOf(task).sample, samples, steps: 1 }),
  });
  const each = workloads.map((workload) => ({ workload, task: taskOf(workload.name) }));
  const most = (bytesOf: (one: (typeof each)[number]) => number) => Math.max(0, ...each.map(bytesOf));

  const trained = new Map(
    workloads.map(({ name, layers }) => [name, sum(layers.map((layer) => layer.gradientBytes))]),
  );
  // Siblings have their buffers at the same time.
  const inPhase = Math.max(0, ...phases.map(({ tasks }) => sum(tasks.map((task) => trained.get(task) ?? 0))));
  const all = allSegmentBytes(spec, partition);
  const processBytes = residentBytes;
  // The model's, those on the heap, those of a checkpoint as tensors and as a file, and of the best state; at the end the adapters instead.
  const segmentBytes = 6 * all;
  // The buffers of parameters and gradients, the tensors that gradients come from, and the moments of a checkpoint, twice, and of the best state.
  const optimizerBytes = (4 + 4 * moments) * inPhase;
  const training = most(({ workload }) => samples * stepBytes(workload, { dropout }));
  const answering = most(({ task }) => answerBytes(spec, task, predictBatchSize));
  const activationBytes = Math.max(
    training,
    answering,
    pictures > 0 ? visionBytes(spec) : 0,
    sounds.length > 0 ? audioBytes(spec) : 0,
  );
  const rows = sum(each.map((one) => keptBytes(spec, one)));
  const cacheBytes = Math.min(mostActivationBytes, rows);
  const featureBytes =
    Math.min(mostFeatureBytes, pictures * visionFeatureBytes(spec)) +
    Math.min(mostFeatureBytes, audioFeatureBytes(spec, sounds));
  const added = segmentBytes + optimizerBytes + activationBytes + cacheBytes + featureBytes;
  const reserveBytes = fixedReserveBytes + (pictures > 0 ? decoderBytes : 0) + reserveShare * added;
  return {
    totalBytes: Math.max(peakBytes, processBytes + added + reserveBytes),
    processBytes,
    segmentBytes,
    optimizerBytes,
    activationBytes,
    cacheBytes,
    featureBytes,
    reserveBytes,
  };
}

/** Compiled code, tokens of rows and results of evaluations that grow while a run goes on. */
const fixedReserveBytes = 160 * 2 ** 20;
/** Of the library that decodes pictures, with its own cache. */
const decoderBytes = 64 * 2 ** 20;
const reserveShare = 0.2;

const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0);

function allSegmentBytes(spec: ModelSpec, { layers }: Partition): number {
  return sum(
    linearsOf(spec).map(({ name, inFeatures, outFeatures }) => {
      const spans = Object.values(layers[name]?.spans ?? {});
      return 4 * sum(spans.map(({ start, end }) => end - start)) * (inFeatures + outFeatures);
    }),
  );
}

/** What one sample keeps in all layers, and what the largest layer makes on top of it on its way forward and back. */
function stepBytes({ layers }: Workload, { dropout }: { readonly dropout: boolean }): number {
  const kept = layers.map(({ activationBytes }) => activationBytes);
  // A byte for each input of a linear, of which fewer are made than numbers are kept; and a layer's inputs once more while they are masked.
  const masks = dropout ? sum(kept) / 4 + Math.max(0, ...kept) : 0;
  return (
    masks +
    sum(kept) +
    2 * Math.max(0, ...kept) +
    4 * Math.max(0, ...layers.map(({ outputBytes }) => outputBytes))
  );
}

/** A batch of prompts: one layer's values, the keys and values of all layers, and the logits; then the same of as many answers as fit. */
function answerBytes(
  { text }: ModelSpec,
  { sample: { tokens }, isLabelTask }: TaskToPredict,
  prompts: number,
): number {
  const { hiddenSize, mlpSize, heads, kvHeads, headDim, layerCount, vocabularySize } = text;
  const positions = isLabelTask ? tokens : tokens + mostNewTokens;
  const layer = tokens * (6 * hiddenSize + 4 * (heads + kvHeads) * headDim + 3 * mlpSize + heads * tokens);
  const row = 2 * positions * layerCount * kvHeads * headDim + 3 * vocabularySize;
  return 4 * prompts * (layer + 2 * row) + (isLabelTask ? scoringBytes : 0);
}

/** The most tokens of a free-text answer. */
const mostNewTokens = 128;
/** What answers that are scored together may take. */
const scoringBytes = 128 * 2 ** 20;

/** The outputs of the lower layers of a task's training rows; none if it trains from the lowest layer up. */
function keptBytes(
  { text: { hiddenSize } }: ModelSpec,
  { workload, task: { sample, trainingRows } }: { readonly workload: Workload; readonly task: TaskToPredict },
): number {
  // The embedding is the first layer of a workload.
  return lowestTrainedLayer(workload) < 2 ? 0 : 4 * trainingRows * sample.tokens * hiddenSize;
}
