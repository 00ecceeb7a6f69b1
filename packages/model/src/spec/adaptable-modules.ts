/** Every module that a PEFT adapter may adapt, by its run-time name. */
import { encoderLinears } from './encoder-linears.js';
import { linearsOf, type ModelSpec } from './model-spec.js';

export interface AdaptableModule {
  /**
   * `linear`: of a decoder layer, or the connector, where segments are computed beside the base weight; `tower`: a linear of a
   * frozen tower or of a frozen projector; `unused`: of a layer of the tower above the feature layer; `head` and `embedding`: `[vocabulary, hidden]`.
   */
  readonly kind: 'linear' | 'tower' | 'unused' | 'head' | 'embedding';
  readonly inFeatures: number;
  readonly outFeatures: number;
}

/** The modules of a model without those of unused layers of the tower; {@link towerLinear} knows those too. */
export function adaptableModules(spec: ModelSpec): ReadonlyMap<string, AdaptableModule> {
  const { text, vision, audio } = spec;
  const modules = new Map<string, AdaptableModule>();
  for (const { name, inFeatures, outFeatures } of linearsOf(spec))
    modules.set(name, { kind: 'linear', inFeatures, outFeatures });
  if (vision?.projector)
    modules.set(vision.projector.name, {
      kind: 'tower',
      inFeatures: vision.hiddenSize,
      outFeatures: text.hiddenSize,
    });
  for (let layerIndex = 0; layerIndex < (vision?.layerCount ?? 0); layerIndex++)
    for (const inner of towerLinears) {
      const name = `${vision?.prefix}encoder.layers.${layerIndex}.${inner}`;
      const module = towerLinear(spec, name);
      if (module) modules.set(name, module);
    }
  for (const { name, inFeatures, outFeatures } of audio?.projector ?? [])
    modules.set(name, { kind: 'tower', inFeatures, outFeatures });
  for (let layerIndex = 0; layerIndex < (audio?.layerCount ?? 0); layerIndex++)
    for (const inner of encoderLinears)
      modules.set(`${audio!.prefix}layers.${layerIndex}.${inner}`, {
        kind: 'tower',
        inFeatures: inner === 'fc2' ? audio!.mlpSize : audio!.hiddenSize,
        outFeatures: inner === 'fc1' ? audio!.mlpSize : audio!.hiddenSize,
      });
  const [inFeatures, outFeatures] = [text.hiddenSize, text.vocabularySize];
  modules.set('lm_head', { kind: 'head', inFeatures, outFeatures });
  // As PEFT shapes its pair: A is [rank, vocabulary].
  modules.set(`${text.prefix}embed_tokens`, {
    kind: 'embedding',
    inFeatures: outFeatures,
    outFeatures: inFeatures,
  });
  return modules;
}

/** A linear of the tower; one above the feature layer is not loaded and has no effect. */
export function towerLinear({ vision }: ModelSpec, name: string): AdaptableModule | undefined {
  if (!vision || !name.startsWith(vision.prefix)) return undefined;
  const [, layer = '', inner = ''] =
    /^encoder\.layers\.(\d+)\.(.+)$/.exec(name.slice(vision.prefix.length)) ?? [];
  if (!towerLinears.includes(inner) || (Number(layer) >= vision.layerCount && vision.tower !== 'clip'))
    return undefined;
  const { hiddenSize, mlpSize, layerCount } = vision;
  return {
    kind: Number(layer) < layerCount ? 'tower' : 'unused',
    inFeatures: inner === 'mlp.fc2' ? mlpSize : hiddenSize,
    outFeatures: inner === 'mlp.fc1' ? mlpSize : hiddenSize,
  };
}

const towerLinears = [
  'self_attn.q_proj',
  'self_attn.k_proj',
  'self_attn.v_proj',
  'self_attn.out_proj',
  'mlp.fc1',
  'mlp.fc2',
];
