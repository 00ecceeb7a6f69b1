/** A model of given sizes with random weights, as from `loadModel`; time does not depend on the values. */
import { compressWeight, integerWeight, type Kernels, type LinearWeight } from '@contextlora/kernels';
import {
  type BaseFormat,
  layerLinears,
  linearsOf,
  rotaryTable,
  type LayerLinear,
  type LoadedModel,
  type TextSpec,
} from '@contextlora/model';

/** Builds the model; its tokenizer reads numbers separated by spaces as token ids. */
export function randomModel(
  text: TextSpec,
  kernels: Kernels,
  format: Exclude<BaseFormat, 'stored'>,
): LoadedModel {
  const { hiddenSize, vocabularySize, layerCount, headDim, ropeTheta, maximumPositions } = text;
  const spec = { architecture: text.attentionBias ? 'qwen2' : 'llama', text };
  let state = 1;
  const pool = Float32Array.from({ length: 2 ** 20 }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 32 - 0.5) * 0.07;
  });
  const random = (count: number) => {
    const values = new Float32Array(count);
    for (let at = 0; at < count; at += pool.length) values.set(pool.subarray(0, count - at), at);
    return values;
  };
  const ones = () => new Float32Array(hiddenSize).fill(1);
  const shapes = new Map(linearsOf(spec).map((shape) => [shape.name, shape]));
  const layers = Array.from({ length: layerCount }, (_, depth) => {
    const linears = {} as Record<LayerLinear, LinearWeight>;
    for (const name of layerLinears) {
      const { inFeatures = 0, outFeatures = 0 } = shapes.get(`${text.prefix}layers.${depth}.${name}`) ?? {};
      const bias = text.attentionBias && /[qkv]_proj$/.test(name) ? random(outFeatures) : undefined;
      const values = random(outFeatures * inFeatures);
      linears[name] = kernels.prepareLinear(
        keptAs(format, values, outFeatures, inFeatures),
        outFeatures,
        inFeatures,
        bias,
      );
    }
    return { linears, inputNorm: ones(), mlpNorm: ones() };
  });
  const embedding = random(vocabularySize * hiddenSize);
  const headWeight = kernels.prepareLinear(embedding, vocabularySize, hiddenSize);
  return {
    spec,
    kernels,
    range: { start: 0, end: layers.length + 2 },
    tokenizer: {
      encode: (ids) => (ids.trim() === '' ? [] : ids.trim().split(' ').map(Number)),
      decode: (ids) => ids.join(' '),
      idOf: Number,
      beginId: 0,
      endId: 1,
      padId: 1,
      addsBegin: false,
      specialTokens: {},
      chatTemplate: undefined,
      tokenBytes: () => [],
    },
    endIds: [1],
    embedding,
    layers,
    finalNorm: ones(),
    head: embedding,
    headWeight,
    rotary: rotaryTable(ropeTheta, headDim, maximumPositions),
    parameterCount: 0,
    dispose: () => undefined,
  };
}

function keptAs(
  format: Exclude<BaseFormat, 'stored'>,
  values: Float32Array,
  outFeatures: number,
  inFeatures: number,
) {
  if (format === 'f32') return values;
  return format === 'w8a8'
    ? integerWeight(values, outFeatures, inFeatures)
    : compressWeight(values, outFeatures, inFeatures, format);
}
