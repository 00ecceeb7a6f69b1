/** The safetensors files of a model directory as one collection of named tensors, read one by one. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { readSafetensors, readSafetensorsHeader, toFloat32 } from '@contextlora/lora';

import { ModelError } from './model-error.js';

export interface WeightFiles {
  has(name: string): boolean;
  shapeOf(name: string): readonly number[] | undefined;
  /** A tensor in float32; throws unless it is there with this shape. */
  read(name: string, shape: readonly number[]): Promise<Float32Array>;
}

/** Opens `model.safetensors`, or the shards that `model.safetensors.index.json` names. */
export async function openWeightFiles(directory: string): Promise<WeightFiles> {
  const files = await filesOf(directory);
  const places = new Map<string, { path: string; shape: readonly number[] }>();
  for (const path of files) {
    const { entries } = await readSafetensorsHeader(path).catch((cause: unknown) => {
      throw new ModelError('loadModel', (cause as Error).message, { cause });
    });
    for (const [name, { shape }] of entries) places.set(name, { path, shape });
  }
  return {
    has: (name) => places.has(name),
    shapeOf: (name) => places.get(name)?.shape,
    async read(name, shape) {
      const place = places.get(name);
      if (!place) throw new ModelError('loadModel', `${directory} has no tensor "${name}"`);
      if (place.shape.join() !== shape.join())
        throw new ModelError(
          'loadModel',
          `${place.path}: tensor "${name}" is [${place.shape.join(', ')}], the config asks for [${shape.join(', ')}]`,
        );
      const { tensors } = await readSafetensors(place.path, { names: [name] });
      const tensor = tensors.get(name);
      if (!tensor) throw new ModelError('loadModel', `${place.path} lost tensor "${name}" while it was read`);
      return toFloat32(tensor);
    },
  };
}

async function filesOf(directory: string): Promise<string[]> {
  const single = join(directory, 'model.safetensors');
  if ((await stat(single).catch(() => undefined))?.isFile()) return [single];
  const index = join(directory, 'model.safetensors.index.json');
  const text = await readFile(index, 'utf8').catch((cause: unknown) => {
    throw new ModelError(
      'loadModel',
      `${directory} has neither model.safetensors nor model.safetensors.index.json; a model directory is what ` +
        `"huggingface-cli download <model> --local-dir <directory>" makes`,
      { cause },
    );
  });
  let map: unknown;
  try {
    map = (JSON.parse(text) as { weight_map?: unknown }).weight_map;
  } catch (cause) {
    throw new ModelError('loadModel', `${index} is not JSON`, { cause });
  }
  const names = [...new Set(Object.values((map ?? {}) as Record<string, unknown>))];
  if (
    names.length === 0 ||
    !names.every((name) => typeof name === 'string' && /^[\w.-]+$/.test(name) && !name.startsWith('.'))
  )
    throw new ModelError('loadModel', `${index} names no usable files in its "weight_map"`);
  const paths = (names as string[]).map((name) => join(directory, name));
  for (const path of paths)
    if (!(await stat(path).catch(() => undefined))?.isFile())
      throw new ModelError(
        'loadModel',
        `${path} is missing, and ${index} names it; download the model again`,
      );
  return paths.sort();
}
