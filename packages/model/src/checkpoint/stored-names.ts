/**
 * The names that published checkpoints give to a tensor, per architecture.
 *
 * We use the run-time names, as PEFT adapters do; files may have older ones, which transformers maps on loading (conversion_mapping.py).
 */

/** The names a file may use for the tensor with this run-time name, most recent first. */
export function storedNames(architecture: string, name: string): readonly string[] {
  if (architecture !== 'llava') return [name];
  const rest = (prefix: string) => (name.startsWith(prefix) ? name.slice(prefix.length) : undefined);
  const text = rest('model.language_model.');
  if (text !== undefined) return [name, `language_model.model.${text}`];
  const tower = rest('model.vision_tower.');
  if (tower !== undefined)
    return [
      name,
      `model.vision_tower.vision_model.${tower}`,
      `vision_tower.${tower}`,
      `vision_tower.vision_model.${tower}`,
    ];
  const projector = rest('model.multi_modal_projector.');
  if (projector !== undefined) return [name, `multi_modal_projector.${projector}`];
  return name === 'lm_head.weight' ? [name, 'language_model.lm_head.weight'] : [name];
}
