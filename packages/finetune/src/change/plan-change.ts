/** What a changed task graph means for a trained run: which tasks stay, which train again, which come and which go. Plain values. */
import {
  ancestorsOf,
  buildTaskGraph,
  descendantsOf,
  orderTasks,
  type TaskFile,
  type TaskGraph,
  type TaskSpec,
} from '@contextlora/task-graph';
import type { RunFingerprint } from '@contextlora/trainer';

import { rowsInput } from '../run/run-inputs.js';
import { type ByTask, ofTask } from '../run/setting-values.js';
import type { TrainSettings } from '../run/train-settings.js';

/** What a run is made from; its ranks stay in a change. */
export interface RunVersion {
  readonly file: TaskFile;
  readonly settings: TrainSettings;
  readonly inputs: RunFingerprint;
}

export interface RetrainedTask {
  readonly task: string;
  /** What of it changed, in words that follow its name; for a descendant, what it builds on. */
  readonly reasons: readonly string[];
}

/** Each list in topological order, `removed` in that of the old task file. */
export interface ChangePlan {
  /** Their segments stay as they are, to the byte. */
  readonly kept: readonly string[];
  readonly retrained: readonly RetrainedTask[];
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

/**
 * Compares two versions of a run: exactly the tasks whose definition, training rows or settings changed, those that are `asked` for,
 * and the descendants of all these train again. Every other task would end with the bytes that it has.
 */
export function planChange(
  before: RunVersion,
  after: RunVersion,
  { asked = [] }: { readonly asked?: readonly string[] } = {},
): ChangePlan {
  const [old, graph] = [buildTaskGraph(before.file.tasks), buildTaskGraph(after.file.tasks)];
  const order = orderTasks(graph);
  const added = order.filter((task) => !old.hasNode(task));
  const own = new Map(
    order
      .filter((task) => old.hasNode(task))
      .map((task) => [
        task,
        [
          ...definitionChanges(old.getNodeAttributes(task), graph.getNodeAttributes(task)),
          ...orderChanges(old, graph, task),
          ...(before.inputs[rowsInput('training', task)] === after.inputs[rowsInput('training', task)]
            ? []
            : ['other training rows']),
          ...settingChanges(before.settings, after.settings, task),
          ...(asked.includes(task) ? ['asked for'] : []),
        ],
      ]),
  );
  const changed = [...added, ...[...own].flatMap(([task, reasons]) => (reasons.length > 0 ? [task] : []))];
  const reached = new Set([...changed, ...changed.flatMap((task) => descendantsOf(graph, task))]);
  return {
    kept: order.filter((task) => !reached.has(task)),
    retrained: order
      .filter((task) => reached.has(task) && old.hasNode(task))
      .map((task) => {
        const parents = graph.inNeighbors(task).filter((parent) => reached.has(parent));
        const inherited = parents.length > 0 ? [`it builds on ${parents.join(', ')}`] : [];
        return { task, reasons: [...(own.get(task) ?? []), ...inherited] };
      }),
    added,
    removed: before.file.tasks.map(({ id }) => id).filter((task) => !graph.hasNode(task)),
  };
}

/** The tasks that a change trains, in the order of their phases. */
export const trainedByChange = ({ retrained, added }: ChangePlan, graph: TaskGraph): string[] => {
  const trained = new Set([...retrained.map(({ task }) => task), ...added]);
  return orderTasks(graph).filter((task) => trained.has(task));
};

/** Without the paths of its data, whose rows count, and without its share, whose ranks count. */
function definitionChanges(before: TaskSpec, after: TaskSpec): string[] {
  const listed = (tasks: readonly string[]) => tasks.join(', ') || 'nothing';
  const sorted = (values: readonly string[]) => [...values].sort();
  return [
    ...(same(sorted(before.dependsOn), sorted(after.dependsOn))
      ? []
      : [`depends on ${listed(after.dependsOn)} instead of ${listed(before.dependsOn)}`]),
    ...(before.instruction === after.instruction ? [] : ['another instruction']),
    ...(same(before.inputs, after.inputs) ? [] : ['other inputs']),
    ...(same(before.answer, after.answer) ? [] : [answerChange(before, after)]),
  ];
}

function answerChange({ answer: before }: TaskSpec, { answer: after }: TaskSpec): string {
  if (before.type !== after.type) return `answers of type ${after.type} instead of ${before.type}`;
  if (before.type !== 'label' || after.type !== 'label') return 'another answer schema';
  const more = after.labels.filter((label) => !before.labels.includes(label));
  const fewer = before.labels.filter((label) => !after.labels.includes(label));
  if (more.length + fewer.length === 0) return 'its labels in another order';
  return [
    ...(more.length > 0 ? [`new labels ${more.join(', ')}`] : []),
    ...(fewer.length > 0 ? [`no label ${fewer.join(', ')}`] : []),
  ].join(', ');
}

/** A step adds up the segments of a task and its ancestors in the order of the file: another order is another rounding. */
function orderChanges(before: TaskGraph, after: TaskGraph, task: string): string[] {
  const closures = [before, after].map((graph) => {
    const closure = new Set([...ancestorsOf(graph, task), task]);
    return graph.filterNodes((id) => closure.has(id));
  });
  const [old, now] = closures.map((closure) => [...closure].sort());
  return same(old, now) && !same(closures[0], closures[1]) ? ['its ancestors in another order'] : [];
}

/** Settings are compared by the value that they have for the task; ranks stay in a change. */
function settingChanges(before: TrainSettings, after: TrainSettings, task: string): string[] {
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])] as (keyof TrainSettings)[];
  return keys
    .filter((key) => !ofPartition.has(key))
    .flatMap((key) => {
      const [was, is] = [
        ofTask(before[key] as ByTask<unknown>, task),
        ofTask(after[key] as ByTask<unknown>, task),
      ];
      return same(was, is) ? [] : [`${key} ${JSON.stringify(is)} instead of ${JSON.stringify(was)}`];
    });
}

const ofPartition: ReadonlySet<string> = new Set([
  'rank',
  'alpha',
  'scaling',
  'allocation',
  'layers',
  'targets',
]);

/** Whether two values are the same JSON, whatever the order of their keys. */
const same = (p: unknown, q: unknown) => JSON.stringify(p, byKey) === JSON.stringify(q, byKey);

/** A replacer for JSON.stringify. */
const byKey = (_: string, value: unknown): unknown =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : value;
