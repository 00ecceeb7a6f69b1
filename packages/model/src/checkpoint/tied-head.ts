/**
 * Whether a head that the config ties to the embedding is tied in the files, decided as in transformers 5 (modeling_utils.py, tie_weights):
 * files with both tensors are tied only if these are equal, and files with the head alone are tied to it.
 */
import type { ModelSpec } from '../spec/model-spec.js';
import type { WeightFiles } from './weight-files.js';

export async function resolveTiedHead(
  spec: ModelSpec,
  files: WeightFiles,
  areEqual: (name: string, other: string) => Promise<boolean>,
): Promise<{ spec: ModelSpec; weights: WeightFiles }> {
  const [embedding, head] = [`${spec.text.prefix}embed_tokens.weight`, 'lm_head.weight'];
  if (!spec.text.tiedHead || files.storedName(head) === undefined) return { spec, weights: files };
  if (files.storedName(embedding) === undefined) {
    const meant = (name: string) => (name === embedding ? head : name);
    return {
      spec,
      weights: {
        ...files,
        storedName: (name) => files.storedName(meant(name)),
        shapeOf: (name) => files.shapeOf(meant(name)),
        unreadableType: (name) => files.unreadableType(meant(name)),
        fileOf: (name) => files.fileOf(meant(name)),
        read: (name, target) => files.read(meant(name), target),
        readStored: (name) => files.readStored(meant(name)),
      },
    };
  }
  if (await areEqual(embedding, head)) return { spec, weights: files };
  return { spec: { ...spec, text: { ...spec.text, tiedHead: false } }, weights: files };
}
