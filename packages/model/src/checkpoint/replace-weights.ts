/** Replaces full weights of a model, as PEFT's `modules_to_save` stores them in an adapter. */
import { type FileTensor, toFloat32 } from '@contextlora/lora/safetensors';

import { ModelError } from '../model-error.js';
import type { LoadedModel } from './load-model.js';

/**
 * The model with the given weights by run-time name (`readPeftFolder` returns them as `replaced`). Everything else is shared with the
 * original, which must outlive it. Only the output matrix and the embedding can be replaced.
 *
 * @throws ModelError listing every weight that cannot be replaced or has another shape.
 */
export function withReplacedWeights(
  model: LoadedModel,
  replaced: Readonly<Record<string, FileTensor>>,
): LoadedModel {
  const { kernels, spec } = model;
  const { vocabularySize, hiddenSize, prefix, tiedHead } = spec.text;
  const embeddingName = `${prefix}embed_tokens.weight`;
  const shape = [vocabularySize, hiddenSize];
  const problems = Object.entries(replaced).flatMap(([name, tensor]) => {
    if (name !== 'lm_head.weight' && name !== embeddingName)
      return [`"${name}" cannot be replaced; "lm_head.weight" and "${embeddingName}" can`];
    if (tensor.shape.join() === shape.join()) return [];
    return [`"${name}" is [${tensor.shape.join(', ')}], the model's is [${shape.join(', ')}]`];
  });
  if (problems.length > 0) throw new ModelError('MODEL_MISMATCH', 'withReplacedWeights', problems.join('; '));
  const valuesOf = (name: string) => {
    const tensor = replaced[name];
    return tensor && toFloat32(tensor);
  };
  const embedding = valuesOf(embeddingName);
  const head = valuesOf('lm_head.weight') ?? (tiedHead ? embedding : undefined);
  const headWeight = head && kernels.prepareLinear(head, vocabularySize, hiddenSize);
  return {
    ...model,
    ...(embedding ? { embedding } : {}),
    ...(head && headWeight ? { head, headWeight } : {}),
    dispose: () => headWeight?.dispose(),
  };
}
