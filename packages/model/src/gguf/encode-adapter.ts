/** An adapter as a GGUF file, which llama.cpp puts on the same model (`--lora FILE`). */
import type { AdapterModules } from '@contextlora/lora';

import { listProblems, ModelError } from '../model-error.js';
import type { ModelSpec } from '../spec/model-spec.js';
import { encodeGguf, type EncodedTensor } from './encode.js';
import { ggufNameOf, isPermuted, rowOfFile } from './names.js';

/**
 * Encodes the modules as llama.cpp's convert_lora_to_gguf.py does; the scale is in B, so that llama.cpp adds B A as it is.
 *
 * @throws ModelError (`MODEL_UNSUPPORTED`) for an architecture that llama.cpp adapters are not written for, and listing the modules that are not
 * in llama.cpp's text model, such as the connector of a vision tower.
 */
export function encodeGgufAdapter(
  { architecture: type, text }: ModelSpec,
  modules: AdapterModules,
): Uint8Array {
  const architecture = ggufArchitecture(type, text);
  const refuse = (what: string) => new ModelError('MODEL_UNSUPPORTED', 'encodeGgufAdapter', what);
  if (architecture === undefined)
    throw refuse(
      `GGUF adapters are written for text models of the architectures ${Object.keys(architectures).join(', ')}, and for vision models on llama; this is "${type}" on another`,
    );
  const problems: string[] = [];
  const tensors = Object.entries(modules)
    // A pair that was never trained adds nothing, whatever it belongs to.
    .filter(([, { b }]) => b.some((value) => value !== 0))
    .sort(([p], [q]) => (p < q ? -1 : 1))
    .flatMap(([module, { rank, a, b, scale, inFeatures, outFeatures }]): EncodedTensor[] => {
      const name = module.startsWith(text.prefix) ? `model.${module.slice(text.prefix.length)}.weight` : '';
      const stored = ggufNameOf(name);
      if (stored === undefined) {
        problems.push(`"${module}"`);
        return [];
      }
      const permuted = isPermuted(architecture, name);
      const left = Float32Array.from(b, (_, i) => {
        const row = Math.floor(i / rank);
        const source = permuted ? rowOfFile(row, text.headDim) : row;
        return scale * (b[source * rank + (i % rank)] ?? 0);
      });
      return [
        { name: `${stored}.lora_a`, shape: [rank, inFeatures], values: a },
        { name: `${stored}.lora_b`, shape: [outFeatures, rank], values: left },
      ];
    });
  if (problems.length > 0)
    throw refuse(
      listProblems(
        "a GGUF adapter is for llama.cpp's text model, which has no place for these modules; merge them instead:",
        problems,
      ),
    );
  return encodeGguf(
    [
      ['general.type', 'adapter'],
      ['general.architecture', architecture],
      ['adapter.type', 'lora'],
      // With an alpha, llama.cpp would scale by alpha / rank; without one it scales by 1.
      ['adapter.lora.alpha', { f32: 0 }],
    ],
    tensors,
  );
}

const architectures: Readonly<Record<string, string>> = {
  llama: 'llama',
  mistral: 'llama',
  qwen2: 'qwen2',
  qwen3: 'qwen3',
};

/** The vision models on Llama-like text models, whose text part llama.cpp knows as llama. */
const onLlama: readonly string[] = ['idefics3', 'smolvlm', 'llava'];

const ggufArchitecture = (
  type: string,
  { headNorms, attentionBias }: ModelSpec['text'],
): string | undefined =>
  (Object.hasOwn(architectures, type) ? architectures[type] : undefined) ??
  (onLlama.includes(type) && !headNorms && !attentionBias ? 'llama' : undefined);
