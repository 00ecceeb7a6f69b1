/** Layer costs of published models by formula: what one training sample of LoRA fine-tuning computes, keeps and sends. */
import type { LayerCost } from '@contextlora/scheduler';

export interface ModelShape {
  readonly name: string;
  readonly layers: number;
  readonly hidden: number;
  readonly intermediate: number;
  /** Width of keys and values. */
  readonly keyValue: number;
  readonly vocabulary: number;
}

/** From the models' config.json. */
export const modelShapes: readonly ModelShape[] = [
  { name: 'SmolLM2-135M', layers: 30, hidden: 576, intermediate: 1536, keyValue: 192, vocabulary: 49_152 },
  { name: 'Qwen2.5-0.5B', layers: 24, hidden: 896, intermediate: 4864, keyValue: 128, vocabulary: 151_936 },
  { name: 'Llama-3.2-1B', layers: 16, hidden: 2048, intermediate: 8192, keyValue: 512, vocabulary: 128_256 },
];

export interface AdapterPlan {
  /** Lowest decoder layer in which the task has a segment; everything below is frozen. */
  readonly from: number;
  /** Ranks of the task's segment in each of these layers. */
  readonly rank: number;
  /** Ranks used in the forward pass: the task's and its ancestors'. */
  readonly activeRanks: number;
  /** Ranks of all tasks, which every device keeps for its layers. */
  readonly allRanks: number;
}

export interface Tokens {
  readonly perSample: number;
  /** Of the answer: only they pass the head. */
  readonly answered: number;
}

/**
 * Embedding, decoder layers, head.
 *
 * Base weights and messages are 2 bytes a number, adapters, optimizer state and kept activations 4. The head is tied to the embedding
 * and counted on both ends, as a pipeline needs it.
 */
export function layerCosts(
  shape: ModelShape,
  { from, rank, activeRanks, allRanks }: AdapterPlan,
  { perSample, answered }: Tokens,
): LayerCost[] {
  const { hidden: h, intermediate: f, keyValue: kv, vocabulary } = shape;
  // q, k, v, o, gate, up, down.
  const linear = 2 * h * h + 2 * h * kv + 3 * h * f;
  const inPlusOut = h + h + 2 * (h + kv) + (h + h) + 2 * (h + f) + (f + h);
  // Scores and their weighted sum over the tokens before, half of them on average.
  const attention = 4 * h * (perSample / 2);
  const message = 2 * h * perSample;
  const plain = {
    gradientBytes: 0,
    optimizerBytes: 0,
    weightFlops: 0,
    activationBytes: 0,
    outputBytes: message,
  };
  const decoder = Array.from({ length: shape.layers }, (_, layer): LayerCost => {
    const trained = layer >= from ? rank * inPlusOut : 0;
    const adapters = 2 * activeRanks * inPlusOut;
    return {
      name: `layer ${layer}`,
      forwardFlops: perSample * (2 * linear + attention + adapters),
      // The gradient's way through frozen weights costs what the forward does, attention twice that.
      inputFlops: layer > from ? perSample * (2 * linear + 2 * attention + adapters) : 0,
      weightFlops: perSample * 2 * trained,
      parameterBytes: 2 * linear + 4 * allRanks * inPlusOut,
      gradientBytes: 4 * trained,
      optimizerBytes: 12 * trained,
      activationBytes: layer >= from ? 4 * perSample * (6 * h + 2 * kv + 3 * f) : 0,
      outputBytes: message,
    };
  });
  return [
    { ...plain, name: 'embedding', forwardFlops: 0, inputFlops: 0, parameterBytes: 2 * vocabulary * h },
    ...decoder,
    {
      ...plain,
      name: 'head',
      forwardFlops: answered * 2 * vocabulary * h,
      inputFlops: answered * 2 * vocabulary * h,
      parameterBytes: 2 * vocabulary * h,
      activationBytes: 4 * answered * (h + vocabulary),
      outputBytes: 0,
    },
  ];
}
