/** A model with a PEFT adapter: the segments, and everything of the adapter that is in the model itself. */
import type { AdapterModule, AdapterModules } from '@contextlora/lora';
import { type PeftAdapter, targetedModules } from '@contextlora/lora/files';

import { addPair, type Pair } from '../checkpoint/add-pair.js';
import type { LoadedModel } from '../checkpoint/load-model.js';
import { replacementProblems, withReplacedWeights } from '../checkpoint/replace-weights.js';
import { storedNames } from '../checkpoint/stored-names.js';
import { listProblems, ModelError } from '../model-error.js';
import { type AdaptableModule, adaptableModules, towerLinear } from '../spec/adaptable-modules.js';
import type { ModelSpec } from '../spec/model-spec.js';
import { matrixRows, type RowMatrix } from './matrix-rows.js';
import { type SegmentsByLinear, type UploadedSegments, uploadModules } from './segments.js';

export interface AdaptedModel {
  /** The model to compute with instead of the base: full weights, embedding, output matrix and towers are the adapter's. */
  readonly model: LoadedModel;
  /** The adapter's segments of the decoder layers and the connector, for every pass of `model`. */
  readonly segments: SegmentsByLinear;
  /** Frees what the adapter needed; the base stays, and must outlive it. */
  dispose(): void;
}

/** An adapter that was read from a folder, or modules alone, such as those of `composeTask`. */
export type AnyAdapter = Pick<PeftAdapter, 'modules'> & Partial<PeftAdapter>;

/**
 * Adds a PEFT adapter to a model, as PEFT computes it: LoRA on linears, on a tower, on the embedding and `lm_head` (these two are
 * merged into copies in float32), and full weights (`modules_to_save`).
 *
 * @throws ModelError (`MODEL_MISMATCH`) listing everything of the adapter that the model does not have or has in another shape, and every
 * module that the adapter's settings select and that has no tensors.
 */
export function withAdapter(base: LoadedModel, adapter: AnyAdapter): AdaptedModel {
  const { spec } = base;
  const named = withRuntimeNames(adapter, spec);
  requireFit(spec, named);
  const { modules, embeddings = {}, replaced = {} } = named;
  const known = adaptableModules(spec);
  const of = (kind: AdaptableModule['kind']) =>
    Object.fromEntries(Object.entries(modules).filter(([name]) => known.get(name)?.kind === kind));
  const whole = withReplacedWeights(base, replaced);
  const merged = withMergedMatrices(whole, {
    head: modules['lm_head'],
    embedding: Object.values(embeddings)[0],
  });
  const [linears, tower] = [uploadModules(of('linear')), uploadModules(of('tower'))];
  const { vision, audio } = merged.model;
  const segments = tower.byLinear;
  return {
    model:
      segments.size === 0
        ? merged.model
        : {
            ...merged.model,
            ...(vision ? { vision: { ...vision, segments } } : {}),
            ...(audio ? { audio: { ...audio, segments } } : {}),
          },
    segments: linears.byLinear,
    dispose() {
      linears.dispose();
      tower.dispose();
      merged.dispose();
      whole.dispose();
    },
  };
}

/**
 * Uploads the segments of an adapter that is nothing but LoRA on decoder layers and the connector; {@link withAdapter} takes any.
 *
 * @throws ModelError (`MODEL_MISMATCH`) when the model does not fit, or has not got the full weights, the adapted matrices or the tower
 * that the adapter has as well.
 */
export function uploadAdapter(spec: ModelSpec, adapter: AnyAdapter): UploadedSegments {
  const named = withRuntimeNames(adapter, spec);
  requireFit(spec, named);
  const known = adaptableModules(spec);
  const elsewhere = [
    ...Object.keys(named.modules).filter((name) => known.get(name)?.kind !== 'linear'),
    ...Object.keys(named.embeddings ?? {}),
    ...Object.keys(named.replaced ?? {}).filter((name) => spec.replaced?.includes(name) !== true),
  ];
  if (elsewhere.length > 0)
    throw new ModelError(
      'MODEL_MISMATCH',
      'uploadAdapter',
      listProblems(
        'the adapter also changes the model itself, which segments cannot; use withAdapter:',
        elsewhere.map((name) => `"${name}"`),
      ),
    );
  return uploadModules(named.modules);
}

/** PEFT loads adapters whose modules have a checkpoint's older names; so do we. */
function withRuntimeNames(adapter: AnyAdapter, spec: ModelSpec): AnyAdapter {
  const { architecture, text, vision, audio } = spec;
  const projector = (vision?.projector ?? audio?.projector[0])?.name.replace(/[^.]+$/, '');
  const older = [text.prefix, vision?.prefix, audio?.prefix, projector, 'lm_head.weight']
    .filter((name) => name !== undefined)
    .flatMap((name) => storedNames(architecture, name).map((stored) => [stored, name] as const))
    .map(([stored, name]) => [stored.replace(/weight$/, ''), name.replace(/weight$/, '')] as const)
    .filter(([stored]) => stored !== '')
    .sort(([p], [q]) => q.length - p.length);
  const renamed = (name: string) => {
    const [stored, now] = older.find(([prefix]) => `${name}.`.startsWith(prefix)) ?? ['', ''];
    return `${now}${`${name}.`.slice(stored.length)}`.slice(0, -1);
  };
  const rename = <T>(record: Readonly<Record<string, T>>): Record<string, T> =>
    Object.fromEntries(Object.entries(record).map(([name, value]) => [renamed(name), value]));
  return {
    ...adapter,
    modules: rename(adapter.modules),
    ...(adapter.embeddings ? { embeddings: rename(adapter.embeddings) } : {}),
    ...(adapter.replaced ? { replaced: rename(adapter.replaced) } : {}),
  };
}

function requireFit(
  spec: ModelSpec,
  { modules, embeddings = {}, replaced = {}, targets, config = {} }: AnyAdapter,
) {
  const known = adaptableModules(spec);
  const adapted: AdapterModules = { ...modules, ...embeddings };
  const problems = Object.entries(adapted).flatMap(([name, { inFeatures, outFeatures }]) => {
    const module = known.get(name) ?? towerLinear(spec, name);
    if (!module) return [`"${name}" is not in the model, or cannot be adapted`];
    if ((module.kind === 'embedding') !== Object.hasOwn(embeddings, name))
      return [`"${name}" is adapted in another way than its kind of module can be`];
    if (module.outFeatures === outFeatures && module.inFeatures === inFeatures) return [];
    return [
      `"${name}" is [${outFeatures}, ${inFeatures}], the model's is [${module.outFeatures}, ${module.inFeatures}]`,
    ];
  });
  problems.push(...replacementProblems(spec, replaced));
  if (targets)
    for (const name of targetedModules(targets, [...known.keys()]))
      if (!Object.hasOwn(adapted, name))
        problems.push(`"${name}" is selected by target_modules, but the adapter has no tensors for it`);
  const pair = ['lm_head', `${spec.text.prefix}embed_tokens`];
  const of = (record: object, end = '') => pair.filter((name) => Object.hasOwn(record, name + end)).length;
  if (
    config['ensure_weight_tying'] === true &&
    spec.text.tiedHead &&
    (of(adapted) === 1 || of(replaced, '.weight') === 1)
  )
    problems.push('ensure_weight_tying is true, but only one of embedding and lm_head has tensors');
  if (problems.length === 0) return;
  const madeFor = config['base_model_name_or_path'];
  throw new ModelError(
    'MODEL_MISMATCH',
    'withAdapter',
    listProblems(
      `the adapter was made for another model${typeof madeFor === 'string' ? ` ("${madeFor}")` : ''}, or is not whole:`,
      problems,
    ),
  );
}

/** Adds pairs to copies of the output matrix and the embedding; a tied pair is separate then, as in PEFT. */
function withMergedMatrices(
  model: LoadedModel,
  { head, embedding }: { head: AdapterModule | undefined; embedding: AdapterModule | undefined },
): { model: LoadedModel; dispose(): void } {
  if (!head && !embedding) return { model, dispose: () => undefined };
  const { kernels, spec } = model;
  const { vocabularySize, hiddenSize } = spec.text;
  const shape = [vocabularySize, hiddenSize] as const;
  const ownHead = head && merged(model.head, shape, { ...head, left: head.b, right: head.a });
  const headWeight = ownHead && kernels.prepareLinear(ownHead, vocabularySize, hiddenSize);
  return {
    model: {
      ...model,
      spec: { ...spec, text: { ...spec.text, tiedHead: false } },
      ...(ownHead && headWeight ? { head: ownHead, headWeight } : {}),
      ...(embedding
        ? {
            embedding: merged(model.embedding, shape, {
              ...embedding,
              left: transposed(embedding.a, embedding.rank),
              right: transposed(embedding.b, hiddenSize),
            }),
          }
        : {}),
    },
    dispose: () => headWeight?.dispose(),
  };
}

/** A copy of the matrix with the pair merged into it. */
function merged(
  matrix: RowMatrix,
  shape: readonly [rows: number, columns: number],
  pair: Pair,
): Float32Array {
  const values = matrixRows(matrix, [...Array(shape[0]).keys()], shape);
  addPair(values, shape, pair);
  return values;
}

/** `[rows, columns]` → `[columns, rows]` */
function transposed(values: Float32Array, rows: number): Float32Array {
  const columns = values.length / rows;
  return Float32Array.from(values, (_, i) => values[(i % rows) * columns + Math.floor(i / rows)] ?? 0);
}
