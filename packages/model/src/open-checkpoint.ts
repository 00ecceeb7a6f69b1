/** A checkpoint, whatever its form: what the model is, its tensors and its tokenizer. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { type OpenBytes, openFileBytes } from './byte-source.js';
import { ggufConfig } from './gguf-config.js';
import { readGgufHeader } from './gguf-header.js';
import { ggufTokenizer } from './gguf-tokenizer.js';
import { ggufWeights } from './gguf-weights.js';
import { ModelError } from './model-error.js';
import { type ModelSpec, parseModelSpec } from './model-spec.js';
import { openSafetensorsFiles } from './safetensors-files.js';
import { openTokenizer, readTokenizer, type TextTokenizer } from './text-tokenizer.js';
import type { WeightFiles } from './weight-files.js';

export interface Checkpoint {
  readonly spec: ModelSpec;
  readonly weights: WeightFiles;
  readonly format: 'safetensors' | 'gguf';
  /** The tokenizer that came with the weights. */
  readonly tokenizer: () => Promise<TextTokenizer>;
}

/**
 * Opens a directory in the Hugging Face layout or a `.gguf` file; the caller closes its `weights`.
 *
 * @throws ModelError when something is missing, damaged or not supported.
 */
export async function openCheckpoint(
  path: string,
  { openBytes = openFileBytes }: { openBytes?: OpenBytes } = {},
): Promise<Checkpoint> {
  if (await isGguf(path)) return openGguf(path, openBytes);
  const spec = await readConfig(path);
  return {
    spec,
    weights: await openSafetensorsFiles(path, { openBytes }),
    format: 'safetensors',
    tokenizer: () => readTokenizer(path),
  };
}

/** Reads what a directory's or GGUF file's model is, without its weights. */
export async function readModelSpec(path: string): Promise<ModelSpec> {
  if (!(await isGguf(path))) return readConfig(path);
  const { spec, weights } = await openGguf(path, openFileBytes);
  await weights.close();
  return spec;
}

const isGguf = async (path: string) =>
  path.endsWith('.gguf') || (await stat(path).catch(() => undefined))?.isFile() === true;

async function openGguf(path: string, openBytes: OpenBytes): Promise<Checkpoint> {
  const source = await openBytes(path);
  try {
    const header = await readGgufHeader(source);
    const spec = parseModelSpec(ggufConfig(header, path), path);
    return {
      spec,
      weights: ggufWeights(source, header, spec),
      format: 'gguf',
      tokenizer: () => Promise.resolve(openTokenizer(ggufTokenizer(header, path), path)),
    };
  } catch (error) {
    await source.close();
    throw error;
  }
}

async function readConfig(directory: string): Promise<ModelSpec> {
  const path = join(directory, 'config.json');
  if (!(await stat(directory).catch(() => undefined))?.isDirectory())
    throw new ModelError(
      'loadModel',
      `${directory} is not a directory; if it is a model's name, "huggingface-cli download ${directory} --local-dir <directory>" fetches it`,
    );
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new ModelError('loadModel', `model directory ${directory} has no config.json`, { cause });
  });
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch (cause) {
    throw new ModelError('loadModel', `${path} is not JSON`, { cause });
  }
  return parseModelSpec((config ?? {}) as Record<string, unknown>, path);
}
