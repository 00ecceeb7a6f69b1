/** Loads the text side of a checkpoint. */
import type { ModelText } from '../text/model-text.js';
import { readTokenizer } from '../text/read-tokenizer.js';
import { type OpenBytes, openFileBytes } from './byte-source.js';
import { type Checkpoint, openCheckpoint } from './open-checkpoint.js';

/** What examples are turned into tokens with; of the weights no byte is read. @throws ModelError as `loadModel`. */
export async function loadText(
  path: string,
  {
    tokenizerDirectory,
    openBytes = openFileBytes,
  }: { readonly tokenizerDirectory?: string; readonly openBytes?: OpenBytes } = {},
): Promise<ModelText> {
  const checkpoint = await openCheckpoint(path, { openBytes, comparesHead: () => false });
  try {
    return await readText(checkpoint, tokenizerDirectory);
  } finally {
    await checkpoint.weights.close();
  }
}

/** The text side of an open checkpoint, with its own tokenizer or that of another directory. */
export async function readText(
  { spec, tokenizer: readOwn, endIds }: Checkpoint,
  tokenizerDirectory: string | undefined,
): Promise<ModelText> {
  const tokenizer = await (tokenizerDirectory === undefined
    ? readOwn()
    : readTokenizer(tokenizerDirectory, { modelIds: { ends: endIds } }));
  const own = tokenizer.endId === undefined ? [] : [tokenizer.endId];
  return { spec, tokenizer, endIds: [...new Set([...own, ...endIds])] };
}
