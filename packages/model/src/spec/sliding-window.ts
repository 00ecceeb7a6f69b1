/** The sliding window of a config, as each family of transformers reads it. */
import type { ConfigReader } from './config-reader.js';
import { textOf } from './config-reader.js';

/** How a family decides which layers slide, and its width if the config does not give one. */
export interface WindowRule {
  /**
   * `all` (Mistral): every layer, unless the width is null. `by layer` (Qwen): with `use_sliding_window`, the layers from
   * `max_window_layers` on, or those that `layer_types` names. `none` (Llama): the family has no window; one that a config asks for limits
   * the positions, as within it every reading agrees.
   */
  readonly layers: 'all' | 'by layer' | 'none';
  readonly width: number | null;
}

/** The width of the window, or undefined if no layer slides; it limits the usable positions. */
export function readWindow(
  read: ConfigReader,
  rule: WindowRule,
  { layerCount }: { layerCount: number },
): number | undefined {
  const width = read.has('sliding_window') ? read.value('sliding_window') : (rule.width ?? undefined);
  const uses = read.flag('use_sliding_window', { fallback: rule.layers !== 'by layer' });
  const first = read.has('max_window_layers') ? read.value('max_window_layers') : 28;
  const types = readLayerTypes(read, layerCount);
  const slides =
    rule.layers === 'all'
      ? width !== undefined && width !== null
      : types
        ? types.includes('sliding_attention')
        : uses &&
          width !== undefined &&
          width !== null &&
          (rule.layers === 'none' || Number(first) < layerCount);
  if (!slides) return undefined;
  if (typeof width === 'number' && Number.isInteger(width) && width > 0) return width;
  read.refuse(`layers slide, and "sliding_window" is ${textOf(width)}; it must be a positive integer`);
  return undefined;
}

/** `layer_types`, if the config has them: one of two kinds for each layer. */
function readLayerTypes(read: ConfigReader, layerCount: number): readonly string[] | undefined {
  const types = read.value('layer_types');
  if (types === undefined) return undefined;
  const known = ['full_attention', 'sliding_attention', 'attention'];
  if (!Array.isArray(types) || types.length !== layerCount) {
    read.refuse(`"layer_types" must name a type for each of the ${layerCount} layers`);
    return undefined;
  }
  const other = (types as readonly unknown[]).find((type) => !known.includes(type as string));
  if (other !== undefined)
    read.refuse(
      `"layer_types" has ${textOf(other)}, which is not supported; full_attention and sliding_attention are`,
    );
  return types as readonly string[];
}
