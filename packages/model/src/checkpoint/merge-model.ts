/** A model with an adapter merged into its weights, W + scale · B A, as a directory in the Hugging Face layout. */
import { copyFile, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

import type { AdapterModule, AdapterModules } from '@contextlora/lora';
import {
  makeDirectory,
  openSafetensors,
  type OpenSafetensors,
  writeChunks,
  writeWhole,
} from '@contextlora/lora/files';
import {
  type FileTensor,
  float32Tensor,
  fromFloat32,
  streamSafetensors,
  type TensorSource,
  toFloat32,
} from '@contextlora/lora/safetensors';

import { listProblems, ModelError } from '../model-error.js';
import { addPair } from './add-pair.js';
import { readModelSpec } from './open-checkpoint.js';
import { filesOf } from './safetensors-files.js';
import { storedNames } from './stored-names.js';

export interface MergeModelOptions {
  /**
   * The type of the weights: float32, in which nothing of the adapter is lost, or as in the base, where it is rounded to the base's digits.
   *
   * @default 'f32'
   */
  readonly dtype?: 'f32' | 'stored';
}

export interface MergeProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/**
 * Writes the merged model into a directory and yields progress: `model.safetensors`, and the configuration and tokenizer of the base. Memory: the
 * largest tensor.
 *
 * @throws ModelError `MODEL_UNSUPPORTED` for a GGUF file, which has no such configuration; `MODEL_MISMATCH` listing modules that are not
 * matrices of the base.
 */
export async function* mergeModel(
  base: string,
  modules: AdapterModules,
  directory: string,
  { dtype = 'f32' }: MergeModelOptions = {},
): AsyncGenerator<MergeProgress, void> {
  if (!(await stat(base)).isDirectory())
    throw new ModelError(
      'MODEL_UNSUPPORTED',
      'mergeModel',
      `${base} is a GGUF file, which has no Hugging Face configuration and tokenizer to put beside merged weights; ` +
        'train on the directory of the model, or use the adapter as it is',
    );
  const { architecture } = await readModelSpec(base);
  const files: OpenSafetensors[] = [];
  try {
    for (const path of (await filesOf(base)).paths) files.push(await openSafetensors(path));
    const pairs = pairsByStoredName(files, modules, { architecture, base });
    const tensors = new Map<string, TensorSource>();
    for (const file of files)
      for (const [name, { dtype: stored, shape }] of file.entries) {
        const isWidened = dtype === 'f32' && narrow.has(stored);
        const pair = pairs.get(name);
        tensors.set(name, {
          dtype: isWidened ? 'F32' : stored,
          shape,
          bytes: async () => {
            const tensor = await file.read(name);
            if (!pair && !isWidened) return tensor.bytes;
            const values = toFloat32(tensor);
            if (pair) addPair(values, shape, { ...pair, left: pair.b, right: pair.a });
            return (isWidened ? float32Tensor(shape, values) : fromFloat32(stored, shape, values)).bytes;
          },
        });
      }
    await makeDirectory(directory);
    await copySettings(base, directory, dtype);
    const totalBytes = [...tensors.values()].reduce((sum, tensor) => sum + bytesOf(tensor), 0);
    const writing = writeChunks(
      join(directory, 'model.safetensors'),
      streamSafetensors(tensors, { format: 'pt' }),
    );
    for await (const doneBytes of writing) yield { doneBytes: Math.min(doneBytes, totalBytes), totalBytes };
  } finally {
    for (const file of files) await file.close();
  }
}

/** The types that become float32. */
const narrow: ReadonlySet<FileTensor['dtype']> = new Set(['F16', 'BF16']);

const bytesOf = ({ dtype, shape }: TensorSource) =>
  shape.reduce((product, n) => product * n, dtype === 'F32' ? 4 : 2);

/** Name of a tensor in the files → the pair that is added to it. */
function pairsByStoredName(
  files: readonly OpenSafetensors[],
  modules: AdapterModules,
  { architecture, base }: { readonly architecture: string; readonly base: string },
): ReadonlyMap<string, AdapterModule> {
  const problems: string[] = [];
  const pairs = new Map<string, AdapterModule>();
  for (const [name, module] of Object.entries(modules)) {
    const shape = `${module.outFeatures},${module.inFeatures}`;
    const stored = storedNames(architecture, `${name}.weight`).find((candidate) =>
      files.some(({ entries }) => entries.get(candidate)?.shape.join() === shape),
    );
    if (stored === undefined) problems.push(`"${name}" [${shape.replace(',', ', ')}]`);
    else pairs.set(stored, module);
  }
  if (problems.length > 0)
    throw new ModelError(
      'MODEL_MISMATCH',
      'mergeModel',
      listProblems(
        `the adapter is of another model: ${base} has no matrices for these of its modules:`,
        problems,
      ),
    );
  return pairs;
}

/** Configuration, tokenizer and licence; not the index of the shards, as there is one file now. */
async function copySettings(base: string, directory: string, dtype: 'f32' | 'stored'): Promise<void> {
  for (const name of (await readdir(base)).sort()) {
    if (!/(\.(json|jinja|txt|model)|^LICEN[CS]E.*)$/.test(name) || name.endsWith('.index.json')) continue;
    if (!(await stat(join(base, name))).isFile()) continue;
    if (name === 'config.json' && dtype === 'f32') {
      const config = JSON.parse(await readFile(join(base, name), 'utf8')) as unknown;
      await writeWhole(join(directory, name), `${JSON.stringify(withFloat32(config), null, 2)}\n`);
    } else await copyFile(join(base, name), join(directory, name));
  }
}

/** The configuration with float32 wherever it names the type of the weights: transformers loads them in that type. */
function withFloat32(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [
      key,
      (key === 'dtype' || key === 'torch_dtype') && typeof one === 'string' ? 'float32' : withFloat32(one),
    ]),
  );
}
