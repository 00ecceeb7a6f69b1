/** Replaces full weights of a model, as PEFT's `modules_to_save` stores them in an adapter. */
import type { LinearWeight } from '@contextlora/kernels';
import { type FileTensor, toFloat32 } from '@contextlora/lora/safetensors';

import { listProblems, ModelError } from '../model-error.js';
import { type DecoderLayerWeights, layerLinears } from '../pass/decoder-layer.js';
import { linearsOf, type ModelSpec } from '../spec/model-spec.js';
import { modelTensors } from '../spec/model-tensors.js';
import type { LoadedModel } from './load-model.js';

/**
 * The model with the given weights by run-time name (`readPeftFolder` returns them as `replaced`). Everything else is shared with the
 * original, which must outlive it. Embedding, output matrix, norms and linears of the language model and what joins it to a tower can
 * be replaced. A tied pair is replaced by `.base_layer.weight` of either; otherwise the two are separate from then on, as in PEFT.
 *
 * @throws ModelError listing every weight that cannot be replaced or has another shape.
 */
export function withReplacedWeights(
  model: LoadedModel,
  replaced: Readonly<Record<string, FileTensor>>,
): LoadedModel {
  const problems = replacementProblems(model.spec, replaced);
  if (problems.length > 0)
    throw new ModelError(
      'MODEL_MISMATCH',
      'withReplacedWeights',
      listProblems('these weights cannot replace those of the model:', problems),
    );
  const names = Object.keys(replaced);
  if (names.length === 0) return { ...model, dispose: () => undefined };
  const { kernels, spec } = model;
  const { vocabularySize, hiddenSize, prefix, tiedHead } = spec.text;
  const made: LinearWeight[] = [];
  const valuesOf = (name: string) => {
    const tensor = Object.hasOwn(replaced, name) ? replaced[name] : undefined;
    return tensor && toFloat32(tensor);
  };
  const shapes = new Map(
    linearsOf(spec).map(({ name, outFeatures, inFeatures }) => [name, [outFeatures, inFeatures] as const]),
  );
  if (spec.vision?.projector) shapes.set(spec.vision.projector.name, [hiddenSize, spec.vision.hiddenSize]);
  const linear = (name: string, weight: LinearWeight): LinearWeight => {
    const [values, shape] = [valuesOf(`${name}.weight`), shapes.get(name)];
    if (!values || !shape) return weight;
    const prepared = kernels.prepareLinear(values, ...shape, valuesOf(`${name}.bias`));
    made.push(prepared);
    return prepared;
  };
  const shared = tiedHead
    ? (valuesOf(`${prefix}embed_tokens.base_layer.weight`) ?? valuesOf('lm_head.base_layer.weight'))
    : undefined;
  const embedding =
    valuesOf(`${prefix}embed_tokens.weight`) ?? valuesOf(`${prefix}embed_tokens.base_layer.weight`) ?? shared;
  const head = valuesOf('lm_head.weight') ?? valuesOf('lm_head.base_layer.weight') ?? shared;
  const headWeight = head && kernels.prepareLinear(head, vocabularySize, hiddenSize);
  if (headWeight) made.push(headWeight);
  const { vision, connector } = model;
  return {
    ...model,
    spec: {
      ...spec,
      text: { ...spec.text, tiedHead: tiedHead && !embedding && !head },
      replaced: [...(spec.replaced ?? []), ...names],
    },
    layers: model.layers.map((layer, layerIndex) => {
      const at = `${prefix}layers.${layerIndex}.`;
      return names.some((name) => name.startsWith(at)) ? withLayer(layer, at, { linear, valuesOf }) : layer;
    }),
    finalNorm: valuesOf(`${prefix}norm.weight`) ?? model.finalNorm,
    ...(embedding ? { embedding } : {}),
    ...(head && headWeight ? { head, headWeight } : {}),
    ...(connector && spec.vision ? { connector: linear(spec.vision.connector.name, connector) } : {}),
    ...(vision?.projector && spec.vision?.projector
      ? { vision: { ...vision, projector: linear(spec.vision.projector.name, vision.projector) } }
      : {}),
    dispose: () => {
      for (const weight of made) weight.dispose();
    },
  };
}

function withLayer(
  layer: DecoderLayerWeights,
  at: string,
  {
    linear,
    valuesOf,
  }: {
    linear: (name: string, weight: LinearWeight) => LinearWeight;
    valuesOf: (name: string) => Float32Array | undefined;
  },
): DecoderLayerWeights {
  const { linears, inputNorm, mlpNorm, queryNorm, keyNorm } = layer;
  return {
    linears: Object.fromEntries(
      layerLinears.map((name) => [name, linear(at + name, linears[name])]),
    ) as DecoderLayerWeights['linears'],
    inputNorm: valuesOf(`${at}input_layernorm.weight`) ?? inputNorm,
    mlpNorm: valuesOf(`${at}post_attention_layernorm.weight`) ?? mlpNorm,
    ...(queryNorm ? { queryNorm: valuesOf(`${at}self_attn.q_norm.weight`) ?? queryNorm } : {}),
    ...(keyNorm ? { keyNorm: valuesOf(`${at}self_attn.k_norm.weight`) ?? keyNorm } : {}),
  };
}

/** Why weights cannot replace those of a model. */
export function replacementProblems(
  spec: ModelSpec,
  replaced: Readonly<Record<string, FileTensor>>,
): string[] {
  const { vocabularySize, hiddenSize, prefix } = spec.text;
  const matrices = [`${prefix}embed_tokens`, 'lm_head'];
  const shapes = new Map([
    ...modelTensors(spec),
    ...matrices.flatMap((name) =>
      ['.weight', '.base_layer.weight'].map(
        (end) => [name + end, [vocabularySize, hiddenSize]] as [string, readonly number[]],
      ),
    ),
  ]);
  return Object.entries(replaced).flatMap(([name, tensor]) => {
    const shape = shapes.get(name);
    if (!shape) return [`"${name}" is not in the model`];
    if (spec.vision && name.startsWith(spec.vision.prefix))
      return [`"${name}" is of the vision tower, whose weights cannot be replaced`];
    const { prefix: tower, projector = [] } = spec.audio ?? {};
    if (
      tower !== undefined &&
      [tower, ...projector.map((one) => `${one.name}.`)].some((at) => name.startsWith(at))
    )
      return [`"${name}" is of the audio tower or its projector, whose weights cannot be replaced`];
    if (tensor.shape.join() !== shape.join()) {
      const grown =
        shape[0] === vocabularySize && tensor.shape[1] === hiddenSize
          ? '; its vocabulary is another, so give the model whose rows it was trained with'
          : '';
      return [
        `"${name.replace('.base_layer', '')}" is [${tensor.shape.join(', ')}], the model's is [${shape.join(', ')}]${grown}`,
      ];
    }
    // PEFT saves modules whole; half of one would leave the other half the base's.
    const other = name.endsWith('.bias') ? name.replace(/bias$/, 'weight') : name.replace(/weight$/, 'bias');
    return shapes.has(other) && !Object.hasOwn(replaced, other)
      ? [`"${name}" is there without "${other}"`]
      : [];
  });
}
