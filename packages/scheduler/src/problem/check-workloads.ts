/** Checks workloads: names, numbers, dependencies, and that gradients reach what trains. */
import type { InputProblem } from '../scheduler-error.js';
import { atLeastZero, checkName, few, list, record, show, wholeNumber } from './check-values.js';
import { inputLimits } from './input-limits.js';
import { lowestTrainedLayer, type Workload } from './workload.js';

const layerFields = [
  'forwardFlops',
  'inputFlops',
  'weightFlops',
  'parameterBytes',
  'gradientBytes',
  'optimizerBytes',
  'activationBytes',
  'outputBytes',
] as const;

export function checkWorkloads(value: unknown, problems: InputProblem[]): void {
  const workloads = list(value, 'workloads', inputLimits.workloads, problems);
  if (!workloads) return;
  if (workloads.length === 0)
    problems.push({ path: 'workloads', message: 'is empty; there is nothing to plan' });
  const before = problems.length;
  const names = new Map<string, number>();
  for (const [index, value] of workloads.entries()) {
    const path = `workloads[${index}]`;
    const fields = record(value, path, problems);
    if (!fields) continue;
    checkName(fields['name'], `${path}.name`, names, index, problems);
    wholeNumber(fields['samples'], `${path}.samples`, { least: 1, most: inputLimits.samples }, problems);
    for (const key of ['steps', 'epochs'])
      if (fields[key] !== undefined)
        wholeNumber(fields[key], `${path}.${key}`, { least: 1, most: 1e12 }, problems);
    checkLayers(fields['layers'], `${path}.layers`, problems);
  }
  if (problems.length > before) return;
  const sound = workloads as Workload[];
  const first = sound[0];
  for (const [index, workload] of sound.entries()) {
    const path = `workloads[${index}]`;
    if (first && workload.layers.length !== first.layers.length)
      problems.push({
        path: `${path}.layers`,
        message: `has ${workload.layers.length} layers, but "${first.name}" has ${first.layers.length}; all tasks share one model`,
      });
    checkBackward(workload, path, problems);
    const parents: unknown = workload.dependsOn ?? [];
    if (!Array.isArray(parents))
      problems.push({ path: `${path}.dependsOn`, message: `must be a list of names, got ${show(parents)}` });
    else
      for (const name of parents as unknown[])
        if (typeof name !== 'string' || !names.has(name))
          problems.push({
            path: `${path}.dependsOn`,
            message: `names ${show(name)}, which is not among the workloads (${few([...names.keys()])})`,
          });
  }
  if (problems.length > before) return;
  const cycle = findCycle(sound);
  if (cycle)
    problems.push({ path: 'workloads', message: `wait for each other in a circle: ${cycle.join(' → ')}` });
}

function checkLayers(value: unknown, path: string, problems: InputProblem[]): void {
  const layers = list(value, path, inputLimits.layers, problems);
  if (!layers) return;
  if (layers.length === 0) problems.push({ path, message: 'is empty; a model has at least one layer' });
  for (const [index, value] of layers.entries()) {
    const fields = record(value, `${path}[${index}]`, problems);
    if (!fields) continue;
    for (const key of layerFields) atLeastZero(fields[key], `${path}[${index}].${key}`, problems);
  }
}

/** Above the lowest trained layer frozen layers owe the input gradient too: without it nothing below could train. */
function checkBackward(workload: Workload, path: string, problems: InputProblem[]): void {
  const lowest = lowestTrainedLayer(workload);
  for (const [index, layer] of workload.layers.entries())
    if (index > lowest && layer.inputFlops === 0 && layer.forwardFlops > 0)
      problems.push({
        path: `${path}.layers[${index}].inputFlops`,
        message:
          `is 0, but layer ${lowest} below it trains and needs the gradient to pass; ` +
          `only layers up to the lowest trained one owe no input gradient`,
      });
}

function findCycle(workloads: readonly Workload[]): string[] | undefined {
  const parents = new Map(workloads.map(({ name, dependsOn }) => [name, dependsOn ?? []]));
  const state = new Map<string, 'open' | 'done'>();
  const trail: string[] = [];
  const visit = (name: string): string[] | undefined => {
    if (state.get(name) === 'done') return undefined;
    if (state.get(name) === 'open') return [...trail.slice(trail.indexOf(name)), name];
    state.set(name, 'open');
    trail.push(name);
    for (const parent of parents.get(name) ?? []) {
      const cycle = visit(parent);
      if (cycle) return cycle;
    }
    trail.pop();
    state.set(name, 'done');
    return undefined;
  };
  for (const { name } of workloads) {
    const cycle = visit(name);
    if (cycle) return cycle;
  }
  return undefined;
}
