/** The sizes at which the step is measured. */
import type { TextSpec } from '@contextlora/model';

export interface BenchCase {
  readonly name: string;
  readonly text: TextSpec;
  readonly batch: number;
  readonly time: number;
}

export const small: TextSpec = {
  vocabularySize: 1024,
  hiddenSize: 128,
  mlpSize: 384,
  layerCount: 4,
  heads: 4,
  kvHeads: 2,
  headDim: 32,
  rmsEpsilon: 1e-5,
  ropeTheta: 10_000,
  maximumPositions: 512,
  attentionBias: false,
  tiedHead: true,
  prefix: 'model.',
};
/** HuggingFaceTB/SmolLM2-135M, config.json */
export const smolLm2: TextSpec = {
  ...small,
  vocabularySize: 49_152,
  hiddenSize: 576,
  mlpSize: 1536,
  layerCount: 30,
  heads: 9,
  kvHeads: 3,
  headDim: 64,
};
/** Qwen/Qwen2.5-0.5B, config.json */
const qwen25: TextSpec = {
  ...small,
  vocabularySize: 151_936,
  hiddenSize: 896,
  mlpSize: 4864,
  layerCount: 24,
  heads: 14,
  kvHeads: 2,
  headDim: 64,
  rmsEpsilon: 1e-6,
  attentionBias: true,
};

/** meta-llama/Llama-3.2-1B, config.json */
const llama32: TextSpec = {
  ...small,
  vocabularySize: 128_256,
  hiddenSize: 2048,
  mlpSize: 8192,
  layerCount: 16,
  heads: 32,
  kvHeads: 8,
  headDim: 64,
};

export const benchCases: readonly BenchCase[] = [
  { name: 'a', text: small, batch: 8, time: 128 },
  { name: 'b1', text: smolLm2, batch: 1, time: 128 },
  { name: 'b4', text: smolLm2, batch: 4, time: 256 },
  { name: 'c', text: qwen25, batch: 1, time: 128 },
  { name: 'd', text: llama32, batch: 1, time: 128 },
];

/** Multiplications and additions of one LoRA step's matrix products, each as one flop; attention as the full square. */
export function stepFlops({ text, batch, time }: BenchCase, rank: number): number {
  const { hiddenSize: h, mlpSize: m, heads, kvHeads, headDim, layerCount, vocabularySize } = text;
  const q = heads * headDim;
  const kv = kvHeads * headDim;
  const shapes = [
    [h, q],
    [h, kv],
    [h, kv],
    [q, h],
    [h, m],
    [h, m],
    [m, h],
  ] as const;
  const base = shapes.reduce((sum, [inFeatures, out]) => sum + inFeatures * out, 0);
  const thin = shapes.reduce((sum, [inFeatures, out]) => sum + rank * (inFeatures + out), 0);
  const tokens = batch * time;
  // Forward and input gradient of frozen matrices, also the weight gradient of trained ones; six products of time² in attention.
  return (
    2 * tokens * (layerCount * (2 * base + 3 * thin) + 2 * vocabularySize * h) +
    layerCount * 6 * 2 * batch * heads * time * time * headDim
  );
}
