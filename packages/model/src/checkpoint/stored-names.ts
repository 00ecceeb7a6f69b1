/**
 * The names that published checkpoints give to a tensor, per architecture.
 *
 * We use the run-time names, as PEFT adapters do; files may have older ones, which transformers maps on loading (conversion_mapping.py), or
 * those of a model without its head, which have no `model.` in front.
 */

/** The names a file may use for the tensor with this run-time name, most recent first. */
export function storedNames(architecture: string, name: string): readonly string[] {
  const names = ['llava', 'qwen2_audio', 'voxtral'].includes(architecture) ? joinedNames(name) : [name];
  const bare = (stored: string) => (stored.startsWith('model.') ? [stored.slice('model.'.length)] : []);
  return [...new Set([...names, ...names.flatMap(bare)])];
}

/** Of a model that is joined from a language model and a tower, which came with names of their own. */
function joinedNames(name: string): readonly string[] {
  const rest = (prefix: string) => (name.startsWith(prefix) ? name.slice(prefix.length) : undefined);
  const text = rest('model.language_model.');
  if (text !== undefined) return [name, `language_model.model.${text}`];
  const tower = rest('model.vision_tower.');
  if (tower !== undefined) return [name, `model.vision_tower.vision_model.${tower}`, `vision_tower.vision_model.${tower}`]; // prettier-ignore
  return name === 'lm_head.weight' ? [name, 'language_model.lm_head.weight'] : [name];
}
