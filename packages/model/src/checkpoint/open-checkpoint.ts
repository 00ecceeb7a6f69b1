/** A checkpoint in either file format: the model's spec, its tensors and its tokenizer. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';

import { ggufConfig } from '../gguf/config.js';
import { type GgufHeader, readGgufHeader } from '../gguf/header.js';
import { ggufTokenizer } from '../gguf/tokenizer.js';
import { ggufWeights } from '../gguf/weights.js';
import { parseImageProcessor } from '../images/processor.js';
import { ModelError } from '../model-error.js';
import { type ModelSpec, parseModelSpec } from '../spec/model-spec.js';
import { readJsonObject } from '../spec/read-json.js';
import { readTokenizer } from '../text/read-tokenizer.js';
import { openTokenizer, type TextTokenizer } from '../text/tokenizer.js';
import { type ByteSource, type OpenBytes, openFileBytes } from './byte-source.js';
import { ggufEndIds, readModelIds } from './end-ids.js';
import { openSafetensorsFiles } from './safetensors-files.js';
import { storedNames } from './stored-names.js';
import type { WeightFiles } from './weight-files.js';

export interface Checkpoint {
  readonly spec: ModelSpec;
  readonly weights: WeightFiles;
  readonly format: 'safetensors' | 'gguf';
  /** Ids that end an answer in addition to the tokenizer's end token, for example the end of a turn. */
  readonly endIds: readonly number[];
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
  const modelIds = await readModelIds(path);
  return {
    spec,
    endIds: modelIds.ends,
    weights: await openSafetensorsFiles(path, {
      openBytes,
      namesOf: (name) => storedNames(spec.architecture, name),
    }),
    format: 'safetensors',
    tokenizer: () => readTokenizer(path, { modelIds }),
  };
}

/** Reads the spec of the model in a directory or GGUF file, without its weights. */
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
    const spec = await withDivisors(parseModelSpec(ggufConfig(header, path), path), { source, header });
    return {
      spec,
      weights: ggufWeights(source, header, spec),
      endIds: ggufEndIds(header),
      format: 'gguf',
      tokenizer: () =>
        Promise.resolve(
          openTokenizer({ ...ggufTokenizer(header, path), modelIds: { ends: ggufEndIds(header) } }, path),
        ),
    };
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** GGUF files store the stretched frequencies of Llama 3 as a tensor of divisors. */
async function withDivisors(
  spec: ModelSpec,
  { source, header }: { source: ByteSource; header: GgufHeader },
): Promise<ModelSpec> {
  const tensor = header.tensors.get('rope_freqs.weight');
  if (!tensor) return spec;
  const { headDim } = spec.text;
  if (tensor.type !== 0 || tensor.shape.join() !== String(headDim / 2))
    throw new ModelError(
      'MODEL_FILE_DAMAGED',
      'openCheckpoint',
      `${source.path}: tensor "rope_freqs.weight" must be f32 [${headDim / 2}], got [${tensor.shape.join(', ')}]`,
    );
  const divisors = new Float32Array(headDim / 2);
  await source.read(tensor.position, new Uint8Array(divisors.buffer));
  if (!divisors.every((divisor) => Number.isFinite(divisor) && divisor > 0))
    throw new ModelError(
      'MODEL_FILE_DAMAGED',
      'openCheckpoint',
      `${source.path}: "rope_freqs.weight" holds numbers that are not positive`,
    );
  return { ...spec, text: { ...spec.text, ropeScaling: { type: 'divisors', divisors: [...divisors] } } };
}

async function readConfig(directory: string): Promise<ModelSpec> {
  if (!(await stat(directory).catch(() => undefined))?.isDirectory())
    throw new ModelError(
      'MODEL_FILE_MISSING',
      'readModelSpec',
      `${directory} is not a directory; if it is a model's name, "hf download ${directory} --local-dir <directory>" fetches it`,
    );
  const path = join(directory, 'config.json');
  const config = await readJsonObject(path, 'readModelSpec');
  if (config === undefined)
    throw new ModelError(
      'MODEL_FILE_MISSING',
      'readModelSpec',
      `model directory ${directory} has no config.json`,
    );
  const spec = parseModelSpec(config, path);
  if (!spec.vision) return spec;
  const where = join(directory, 'preprocessor_config.json');
  const processor = await readJsonObject(where, 'readModelSpec');
  if (processor === undefined) return spec;
  return {
    ...spec,
    vision: { ...spec.vision, processor: parseImageProcessor(processor, { where, ...spec.vision }) },
  };
}
