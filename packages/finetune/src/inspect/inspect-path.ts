/** Says what is at a path, whatever of this project's or of Hugging Face's kinds it is. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { ifThere, readPeftFolder } from '@contextlora/lora/files';
import { modelTensors, openCheckpoint } from '@contextlora/model';
import * as z from 'zod';

import { FinetuneError } from '../finetune-error.js';
import { manifestFile } from '../run/run-manifest.js';
import { inspectCheckpoint, inspectPartition, inspectRun } from './inspect-segments.js';
import { flatFacts, type Inspected, nothingToClose } from './inspected.js';

/** The file by which a directory is known, and how it is read; the first that is there counts. */
const directories: readonly (readonly [string, (path: string) => Promise<Inspected>])[] = [
  [manifestFile, inspectRun],
  ['partition.json', inspectPartition],
  ['latest.json', inspectCheckpoint],
  ['adapter_config.json', inspectAdapter],
  ['config.json', inspectModel],
];

/**
 * Inspects a run, its checkpoints or partition, a PEFT folder, a model directory, a GGUF file, or the certificates in a report.json.
 *
 * @throws FinetuneError (`FINETUNE_PATH_UNKNOWN`) for anything else, and whatever reading throws.
 */
export async function inspectPath(path: string): Promise<Inspected> {
  const info = await ifThere(stat(path));
  if (info?.isFile()) return path.endsWith('.json') ? inspectCertificates(path) : inspectModel(path);
  for (const [file, inspect] of info ? directories : [])
    if (await ifThere(stat(join(path, file)))) return inspect(path);
  throw unknown(path, info ? 'none of these' : 'there is nothing');
}

/** A PEFT folder: its settings, and its pairs. */
async function inspectAdapter(path: string): Promise<Inspected> {
  const { modules, embeddings, config } = await readPeftFolder(path);
  return {
    kind: 'adapter',
    path,
    facts: flatFacts(config),
    tensors: Object.entries({ ...modules, ...embeddings }).flatMap(
      ([name, { rank, a, b, inFeatures, outFeatures }]) => [
        { name: `${name}/a`, shape: [rank, inFeatures], read: () => Promise.resolve(a) },
        { name: `${name}/b`, shape: [outFeatures, rank], read: () => Promise.resolve(b) },
      ],
    ),
    close: nothingToClose,
  };
}

/** A model: what it computes, and its tensors under the names that transformers gives them, so that both formats can be compared. */
async function inspectModel(path: string): Promise<Inspected> {
  const { spec, weights, format } = await openCheckpoint(path);
  return {
    kind: 'model',
    path,
    facts: { format, ...flatFacts(spec) },
    tensors: Array.from(modelTensors(spec), ([name, shape]) => ({
      name,
      shape,
      read: () => weights.read(name),
    })),
    close: () => weights.close(),
  };
}

const report = z.looseObject({
  certificates: z.array(
    z.looseObject({ tasks: z.array(z.string()), certificate: z.record(z.string(), z.string()) }),
  ),
});

/** The certificates at the ends of a run's phases. */
async function inspectCertificates(path: string): Promise<Inspected> {
  const text = await readFile(path, 'utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw unknown(path, `not JSON (${(cause as Error).message})`);
  }
  const { data } = report.safeParse(value);
  if (!data) throw unknown(path, 'a JSON file without certificates');
  return {
    kind: 'certificates',
    path,
    facts: Object.fromEntries(
      data.certificates.flatMap(({ tasks, certificate }, phase) =>
        Object.entries(certificate).map(([task, hash]) => [
          `phase ${phase + 1} (${tasks.join(', ')}), segment ${task}`,
          hash,
        ]),
      ),
    ),
    tensors: [],
    close: nothingToClose,
  };
}

const unknown = (path: string, what: string) =>
  new FinetuneError(
    'FINETUNE_PATH_UNKNOWN',
    'inspectPath',
    `${path} is ${what}; name a run, its checkpoints or partition, a PEFT folder, a model directory or GGUF file, or a report.json`,
  );
