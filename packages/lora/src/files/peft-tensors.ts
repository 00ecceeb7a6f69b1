/** The tensors of `adapter_model.safetensors` by what they are; one that is not used is a problem. */
import { type FileTensor, toFloat32 } from '../safetensors/tensor.js';
import { type PeftConfig, tensorPrefix } from './peft-config.js';
import { isSaved, targetedModules } from './peft-targets.js';

/** A and B of a module; either may be missing. */
export interface TensorPair {
  readonly a?: FileTensor;
  readonly b?: FileTensor;
}

export interface PeftTensors {
  /** By the path of a module. */
  readonly linears: ReadonlyMap<string, TensorPair>;
  readonly embeddings: ReadonlyMap<string, TensorPair>;
  /** See `PeftAdapter`. */
  readonly replaced: ReadonlyMap<string, FileTensor>;
  readonly problems: readonly string[];
}

export function sortPeftTensors(tensors: ReadonlyMap<string, FileTensor>, config: PeftConfig): PeftTensors {
  const linears = new Map<string, TensorPair>();
  const embeddings = new Map<string, TensorPair>();
  const whole = new Map<string, FileTensor>();
  const problems: string[] = [];
  for (const [name, tensor] of tensors) {
    const plain = name.startsWith(tensorPrefix) ? name.slice(tensorPrefix.length) : name;
    const misplaced = kindProblem(plain) ?? prefixProblem(name);
    const problem = misplaced ?? numbersProblem(tensor);
    if (problem !== undefined) problems.push(`tensor "${name}": ${problem}`);
    if (misplaced !== undefined) continue;
    const [, module = '', side] = /^(.+)\.lora_(?:embedding_)?([AB])(?:\.weight)?$/.exec(plain) ?? [];
    if (module === '') {
      whole.set(plain, tensor);
      continue;
    }
    const pairs = plain.includes('.lora_embedding_') ? embeddings : linears;
    pairs.set(module, { ...pairs.get(module), [side === 'A' ? 'a' : 'b']: tensor });
  }
  const adapted = [...linears.keys(), ...embeddings.keys()];
  const sorted = replacedWeights(whole, adapted, config);
  return {
    linears,
    embeddings,
    replaced: sorted.replaced,
    problems: [...problems, ...sorted.problems, ...targetProblems(adapted, config)],
  };
}

function replacedWeights(
  whole: ReadonlyMap<string, FileTensor>,
  adapted: readonly string[],
  { targets: { saved }, tiesWeights }: PeftConfig,
): Pick<PeftTensors, 'replaced' | 'problems'> {
  const replaced = new Map<string, FileTensor>();
  const problems: string[] = [];
  // With ensure_weight_tying, the other matrix of a saved pair is in the file too.
  const savesPair = tiesWeights && saved.some(isVocabulary);
  for (const [plain, tensor] of whole) {
    const [, module = '', base] = /^(.+?)(\.base_layer)?\.(?:weight|bias)$/.exec(plain) ?? [];
    const isMatrix = plain.endsWith('.weight') && isVocabulary(module);
    if (base === undefined && (isSaved(module, saved) || (isMatrix && savesPair)))
      replaced.set(plain, tensor);
    else if (isMatrix && (base !== undefined) === adapted.includes(module))
      // The base's own matrix, which PEFT saves when it is adapted, or with save_embedding_layers.
      replaced.set(`${module}.base_layer.weight`, tensor);
    else
      problems.push(
        `tensor "${tensorPrefix}${plain}" is not used: it is no part of a LoRA, and modules_to_save does not name its module`,
      );
  }
  for (const name of saved)
    if (![...replaced.keys()].some((key) => isSaved(key.replace(/\.\w+$/, ''), [name])))
      problems.push(`modules_to_save names "${name}", but no tensor belongs to such a module`);
  return { replaced, problems };
}

/** Modules with pairs that the settings do not select; PEFT would not use them. */
function targetProblems(adapted: readonly string[], { targets, tiesWeights }: PeftConfig): string[] {
  const targeted = targetedModules(targets, adapted);
  const adaptsPair = tiesWeights && [...targeted].some(isVocabulary);
  return adapted
    .filter((module) => !targeted.has(module) && !(adaptsPair && isVocabulary(module)))
    .map(
      (module) =>
        `"${module}" has LoRA tensors, but target_modules and the settings beside it do not select it`,
    );
}

/** Whether a module is an embedding or an output matrix, by the names that the supported models give them. */
const isVocabulary = (module: string) => /(?:^|\.)(?:embed_tokens|lm_head)$/.test(module);

const prefixProblem = (name: string) =>
  name.startsWith(tensorPrefix)
    ? undefined
    : `it is not used, because its name does not begin with "${tensorPrefix}"`;

function numbersProblem(tensor: FileTensor): string | undefined {
  if (tensor.dtype !== 'F32' && tensor.dtype !== 'F16' && tensor.dtype !== 'BF16')
    return `it is of type ${tensor.dtype}, and must be F32, F16 or BF16`;
  const odd = toFloat32(tensor).find((value) => !Number.isFinite(value));
  return odd === undefined
    ? undefined
    : `it holds ${odd}; the training diverged or the file is damaged, so train or download the adapter again`;
}

/** Why a kind of tensor cannot be used. */
function kindProblem(name: string): string | undefined {
  const kind = unsupportedKind(name);
  return kind === undefined ? undefined : `${kind} is not supported`;
}

function unsupportedKind(name: string): string | undefined {
  if (/\.lora_(?:[AB]\.weight|embedding_[AB])$/.test(name)) return undefined;
  if (/lora_magnitude_vector|dora/i.test(name)) return 'DoRA';
  if (/lora_[AB]\.bias$/.test(name)) return 'a bias of LoRA';
  if (/lora_(?:[AB]\.\w+\.weight|embedding_[AB]\.\w+)$/.test(name))
    return 'an adapter with a name in its tensors (as of a training checkpoint)';
  if (name.includes('token_adapter')) return 'an embedding with some trained rows (trainable_token_indices)';
  return name.includes('lora_') ? 'a tensor of this kind' : undefined;
}
