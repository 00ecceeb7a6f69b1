/** A checkpoint in either file format: the model's spec, its tensors and its tokenizer. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';

import { ifThere } from '@contextlora/lora/files';

import { ggufSpec } from '../gguf/config.js';
import { type GgufHeader, readGgufHeader } from '../gguf/header.js';
import { ggufTokenizer } from '../gguf/tokenizer.js';
import { ggufWeights } from '../gguf/weights.js';
import { readImageProcessor } from '../images/read-processor.js';
import { checkAudioProcessor } from '../sounds/check-processor.js';
import { listProblems, ModelError } from '../model-error.js';
import { type ModelSpec, parseModelSpec } from '../spec/model-spec.js';
import { modelTensors } from '../spec/model-tensors.js';
import { readJsonObject } from '../spec/read-json.js';
import { readTokenizer } from '../text/read-tokenizer.js';
import { openTokenizer, type TextTokenizer } from '../text/tokenizer.js';
import { type ByteSource, type OpenBytes, openFileBytes } from './byte-source.js';
import { ggufEndIds, readModelIds } from './end-ids.js';
import { openSafetensorsFiles } from './safetensors-files.js';
import { storedNames } from './stored-names.js';
import { resolveTiedHead } from './tied-head.js';
import { refuseUnexpectedTensors } from './unexpected-tensors.js';
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

export interface OpenCheckpointOptions {
  /** How files are read; a test can count the reads. */
  readonly openBytes?: OpenBytes;
  /** Whether the bytes of a head that the config ties are compared with the embedding's, or the config is believed. */
  readonly comparesHead?: (spec: ModelSpec) => boolean;
}

/**
 * Opens a directory in the Hugging Face layout or a `.gguf` file; the caller closes its `weights`.
 *
 * @throws ModelError when something is missing, damaged or not supported.
 */
export async function openCheckpoint(
  path: string,
  { openBytes = openFileBytes, comparesHead = () => true }: OpenCheckpointOptions = {},
): Promise<Checkpoint> {
  if (await isGguf(path)) return openGguf(path, openBytes);
  const config = await readConfig(path);
  const modelIds = await readModelIds(path);
  const namesOf = (name: string) => storedNames(config.architecture, name);
  const files = await openSafetensorsFiles(path, { openBytes, namesOf });
  try {
    refuseUnexpectedTensors(files, { spec: config, path, namesOf, isFloating: files.isFloating });
    return {
      ...(await resolveTiedHead(
        config,
        files,
        comparesHead(config) ? files.areEqual : () => Promise.resolve(true),
      )),
      endIds: modelIds.ends,
      format: 'safetensors',
      tokenizer: () => readTokenizer(path, { modelIds }),
    };
  } catch (error) {
    await files.close();
    throw error;
  }
}

/** Reads the spec of the model in a directory or GGUF file, without its weights: in a directory a head is tied if the config says so. */
export async function readModelSpec(path: string): Promise<ModelSpec> {
  if (!(await isGguf(path))) return readConfig(path);
  const { spec, weights } = await openGguf(path, openFileBytes);
  await weights.close();
  return spec;
}

const isGguf = async (path: string) =>
  path.endsWith('.gguf') || (await ifThere(stat(path)))?.isFile() === true;

async function openGguf(path: string, openBytes: OpenBytes): Promise<Checkpoint> {
  const source = await openBytes(path);
  try {
    const header = await readGgufHeader(source);
    const divisors = await readDivisors(source, header);
    const spec = ggufSpec(header, { path, divisors });
    const weights = ggufWeights(source, header, spec);
    refuseOtherTensors(weights, { spec, path });
    return {
      spec,
      weights,
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

/** GGUF files store the stretched frequencies of Llama 3 as a tensor of divisors, one per rotary pair. */
async function readDivisors(source: ByteSource, header: GgufHeader): Promise<number[] | undefined> {
  const tensor = header.tensors.get('rope_freqs.weight');
  // llama.cpp has this tensor in Llama models only; others are refused with it.
  if (!tensor || header.metadata.get('general.architecture') !== 'llama') return undefined;
  const [pairs = 0, ...rest] = tensor.shape;
  if (tensor.type !== 0 || rest.length > 0 || pairs > 2 ** 11)
    throw new ModelError(
      'MODEL_FILE_DAMAGED',
      'openCheckpoint',
      `${source.path}: tensor "rope_freqs.weight" must be f32 with one number per rotary pair, got [${tensor.shape.join(', ')}]`,
    );
  const divisors = new Float32Array(pairs);
  await source.read(tensor.position, new Uint8Array(divisors.buffer));
  if (!divisors.every((divisor) => Number.isFinite(divisor) && divisor > 0))
    throw new ModelError(
      'MODEL_FILE_DAMAGED',
      'openCheckpoint',
      `${source.path}: "rope_freqs.weight" holds numbers that are not positive`,
    );
  return [...divisors];
}

/** llama.cpp refuses files with tensors that the architecture does not have, and so do we, by name. */
function refuseOtherTensors(weights: WeightFiles, { spec, path }: { spec: ModelSpec; path: string }): void {
  const known = new Set(
    [...modelTensors({ ...spec, text: { ...spec.text, tiedHead: false } }).keys()].map((name) =>
      weights.storedName(name),
    ),
  );
  if (spec.architecture === 'llama') known.add('rope_freqs.weight');
  const others = weights.storedNames.filter((name) => !known.has(name));
  if (others.length > 0)
    throw new ModelError(
      'MODEL_UNSUPPORTED',
      'openCheckpoint',
      listProblems(
        `${path} has tensors that a ${spec.architecture} model with its settings does not have, and it would be computed without them:`,
        others.map((name) => `"${name}"`),
      ),
    );
}

async function readConfig(directory: string): Promise<ModelSpec> {
  if (!(await ifThere(stat(directory)))?.isDirectory())
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
  if (spec.audio) await checkAudioProcessor(directory, spec.audio);
  if (!spec.vision) return spec;
  const processor = await readImageProcessor(directory, spec.vision);
  return { ...spec, vision: { ...spec.vision, processor } };
}
