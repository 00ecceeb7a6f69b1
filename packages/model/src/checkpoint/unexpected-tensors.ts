/**
 * Refuses weights that a model's modules would have to compute with and that its config does not speak of, such as a bias or a norm.
 *
 * transformers reports such tensors and computes without them; nobody who has them in a file wants that. Tensors outside of the model's
 * modules, and integers and masks inside, are left alone.
 */
import { listProblems, ModelError } from '../model-error.js';
import type { ModelSpec } from '../spec/model-spec.js';
import { modelTensors } from '../spec/model-tensors.js';
import type { WeightFiles } from './weight-files.js';

/** Buffers that files made by older versions have, and that nothing reads. */
const buffers = /(?:^|\.)(?:rotary_emb\.inv_freq|position_ids|masked_bias)$/;

/** @throws ModelError (`MODEL_UNSUPPORTED`) listing the weights; `namesOf` gives the names that a tensor may have in files. */
export function refuseUnexpectedTensors(
  files: WeightFiles,
  {
    spec,
    path,
    namesOf,
    isFloating,
  }: {
    spec: ModelSpec;
    path: string;
    namesOf: (name: string) => readonly string[];
    isFloating: (storedName: string) => boolean;
  },
): void {
  const known = new Set<string>();
  const modules = new Set<string>();
  for (const name of modelTensors({ ...spec, text: { ...spec.text, tiedHead: false } }).keys())
    for (const stored of namesOf(name)) {
      known.add(stored);
      modules.add(moduleOf(stored));
    }
  const layers = new Set(
    namesOf(`${spec.text.prefix}layers.0.input_layernorm.weight`).map((name) => name.split('layers.0.')[0]),
  );
  const problems: string[] = [];
  const beyond = new Map<string, number>();
  for (const name of files.storedNames) {
    if (known.has(name) || buffers.test(name) || !isFloating(name)) continue;
    const [, before, index] = /^(.*?)layers\.(\d+)\./.exec(name) ?? [];
    if (before !== undefined && layers.has(before) && Number(index) >= spec.text.layerCount)
      beyond.set(index!, (beyond.get(index!) ?? 0) + 1);
    else if (modules.has(moduleOf(name))) problems.push(`"${name}"`);
  }
  if (beyond.size > 0)
    problems.push(
      `layers ${[...beyond.keys()].slice(0, 4).join(', ')}${beyond.size > 4 ? ', …' : ''}, and the config has ${spec.text.layerCount} layers`,
    );
  if (problems.length > 0)
    throw new ModelError(
      'MODEL_UNSUPPORTED',
      'openCheckpoint',
      listProblems(
        `${path} has weights that its config does not speak of, and the model would be computed without them; does the config belong to these files?`,
        problems,
      ),
    );
}

/** The decoder or encoder layer of a tensor, or else the module whose parameter it is. */
const moduleOf = (name: string) =>
  /^.*?layers\.\d+\./.exec(name)?.[0] ?? name.slice(0, name.lastIndexOf('.') + 1);
