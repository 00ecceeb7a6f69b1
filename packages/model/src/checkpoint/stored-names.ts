/**
 * What published checkpoints call a tensor whose run-time name we use, per architecture.
 *
 * PEFT adapters use run-time names; files may be older than these (transformers maps them when it loads: conversion_mapping.py).
 */

/** Names in the file, most recent first, of a tensor with this run-time name. */
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
