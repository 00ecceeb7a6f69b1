/** Makes a partition: which task owns which ranks. */
import { lookUp } from '../look-up.js';
import { LoraError } from '../lora-error.js';
import { type Allocate, allocateByShare, type AllocationTask } from './allocate.js';
import type { LinearShape, Partition, PartitionLayer, PartitionTask, Span } from './partition.js';

export interface PartitionRanksOptions {
  /** Ranks per linear, shared by all tasks. */
  readonly rank: number;
  /** c = alpha / rank of the task's segment, of all tasks or task → alpha; by default alpha is twice the task's largest rank, so that c = 2 there. */
  readonly alpha?: number | Readonly<Record<string, number>>;
  readonly scaling?: PartitionTask['scaling'];
  /** By default in proportion to each task's `share`: equal ranks where no task has one. */
  readonly allocate?: Allocate;
  /** Decoder layers in which a task may own ranks, `to` exclusive; all when absent. */
  readonly only?: Readonly<Record<string, { readonly from: number; readonly to: number }>>;
  /** Linears in which a task may own ranks: task → whole names or their last parts, such as `q_proj` or `self_attn.q_proj`; all when absent. */
  readonly targets?: Readonly<Record<string, readonly string[]>>;
}

/**
 * Shares the ranks of every linear among the tasks.
 *
 * @throws LoraError (`LORA_PARTITION_INVALID`) when there are more tasks than ranks, when alpha or a share is not a number above 0, when a
 * task or linear is listed twice, when `only` or `targets` name what there is not, or when they leave a task no linear.
 */
export function partitionRanks(
  linears: readonly LinearShape[],
  tasks: readonly AllocationTask[],
  {
    rank,
    alpha,
    scaling = 'standard',
    allocate = allocateByShare,
    only = {},
    targets = {},
  }: PartitionRanksOptions,
): Partition {
  requireUnique(
    'linear',
    linears.map(({ name }) => name),
  );
  requireUnique(
    'task',
    tasks.map(({ id }) => id),
  );
  if (linears.length === 0) throw invalid('there is no linear to adapt; check the targets');
  if (!Number.isInteger(rank) || rank < tasks.length || tasks.length === 0)
    throw invalid(
      `rank ${rank} cannot be shared by ${tasks.length} tasks: each needs at least 1; ` +
        `raise the rank to ${Math.max(1, tasks.length)} or more, or leave tasks out`,
    );
  const alphaOf = (id: string) => (typeof alpha === 'object' ? lookUp(alpha, id) : alpha);
  for (const { id } of tasks) {
    const own = alphaOf(id);
    if (own !== undefined && !(Number.isFinite(own) && own > 0))
      throw invalid(`alpha must be a number above 0, got ${own}`);
  }
  for (const { id, share = 1 } of tasks)
    if (!(share > 0 && Number.isFinite(share)))
      throw invalid(`task "${id}" has the share ${share}; it must be a positive number`);
  for (const [option, named] of Object.entries({ only, targets, alpha }))
    for (const id of typeof named === 'object' ? Object.keys(named) : [])
      if (!tasks.some((task) => task.id === id))
        throw invalid(`"${option}" names task "${id}", which is not among the tasks`);
  for (const target of new Set(Object.values(targets).flat()))
    if (!linears.some(({ name }) => isTarget(name, target)))
      throw invalid(
        `no linear is called "${target}"; the model has ${[...new Set(linears.map(({ name }) => name.split('.').at(-1) ?? name))].join(', ')}`,
      );

  const layerCount = 1 + Math.max(-1, ...linears.map(({ layerIndex }) => layerIndex ?? -1));
  const layers: Record<string, PartitionLayer> = {};
  for (const linear of linears) {
    const present = tasks.filter(({ id }) => mayOwn(linear, lookUp(only, id), lookUp(targets, id)));
    if (present.length === 0) continue;
    const ranks = allocate(rank, present, { linear, layerCount });
    let start = 0;
    const spans: Record<string, Span> = {};
    for (const [i, { id }] of present.entries()) {
      const end = start + (ranks[i] ?? 0);
      if (end > start) spans[id] = { start, end };
      start = end;
    }
    layers[linear.name] = { inFeatures: linear.inFeatures, outFeatures: linear.outFeatures, spans };
  }
  const largest = (id: string) =>
    Math.max(0, ...Object.values(layers).map(({ spans }) => widthOf(lookUp(spans, id))));
  for (const { id } of tasks)
    if (largest(id) === 0)
      throw invalid(`task "${id}" has no rank in any linear; its layers and targets have none in common`);
  return {
    version: 1,
    order: tasks.map(({ id }) => id),
    tasks: Object.fromEntries(
      tasks.map(({ id, dependsOn }) => [id, { dependsOn, alpha: alphaOf(id) ?? 2 * largest(id), scaling }]),
    ),
    layers,
  };
}

function mayOwn(
  { name, layerIndex }: LinearShape,
  range: { from: number; to: number } | undefined,
  targets: readonly string[] | undefined,
): boolean {
  if (targets && !targets.some((target) => isTarget(name, target))) return false;
  if (!range) return true;
  return layerIndex !== undefined && layerIndex >= range.from && layerIndex < range.to;
}

/** As PEFT's `target_modules`: the whole name, or its end after a point. */
const isTarget = (name: string, target: string) => name === target || name.endsWith(`.${target}`);

const widthOf = (span: Span | undefined) => (span ? span.end - span.start : 0);

function requireUnique(kind: string, names: readonly string[]): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) throw invalid(`${kind} "${name}" is listed twice`);
    seen.add(name);
  }
}

const invalid = (what: string) => new LoraError('LORA_PARTITION_INVALID', 'partitionRanks', what);
