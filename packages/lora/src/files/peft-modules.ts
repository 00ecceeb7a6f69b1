/** Pairs of tensors as modules of an adapter. */
import { type FileTensor, toFloat32 } from '../safetensors/tensor.js';
import type { AdapterModule, AdapterModules } from '../segments/adapter-module.js';
import { type PeftConfig, scalesOf } from './peft-config.js';
import type { TensorPair } from './peft-tensors.js';

/** Checks that pairs fit each other and the ranks of the config, and gives each its scale. */
export function modulesOf(
  pairs: ReadonlyMap<string, TensorPair>,
  config: PeftConfig,
): { modules: AdapterModules; problems: readonly string[] } {
  const scales = scalesOf(config, [...pairs.keys()]);
  const problems: string[] = [];
  const modules: [string, AdapterModule][] = [];
  for (const [name, { a, b }] of pairs) {
    const { rank = NaN, scale = NaN } = scales.get(name) ?? {};
    const [rows = 0, inFeatures = 0] = a?.shape ?? [];
    const [outFeatures = 0, columns = 0] = b?.shape ?? [];
    if (!a && b) problems.push(`"${name}": lora_B ${shapeOf(b)} has no lora_A`);
    else if (!a || !b || a.shape.length !== 2 || b.shape.length !== 2 || rows !== columns || rows === 0)
      problems.push(`"${name}": lora_A ${shapeOf(a)} and lora_B ${shapeOf(b)} do not fit`);
    else if (rows !== rank)
      problems.push(`"${name}": its tensors have rank ${rows}, but r and rank_pattern say ${rank}`);
    else if (isFloat(a) && isFloat(b))
      modules.push([name, { rank, scale, a: toFloat32(a), inFeatures, b: toFloat32(b), outFeatures }]);
  }
  // Names come from the file; as entries, none of them can reach a prototype.
  return { modules: Object.fromEntries(modules), problems };
}

const shapeOf = (tensor: FileTensor | undefined) => (tensor ? `[${tensor.shape.join(', ')}]` : 'missing');

/** Other types have been reported with their tensors. */
const isFloat = ({ dtype }: FileTensor) => dtype === 'F32' || dtype === 'F16' || dtype === 'BF16';
