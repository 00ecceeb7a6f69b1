/** Checks workloads and clusters, which come from files and other people's code, and lists everything that is wrong. */
import { type InputProblem, problemsError } from '../scheduler-error.js';
import {
  aboveZero,
  atLeastZero,
  checkName,
  few,
  inputLimits,
  list,
  record,
  show,
  wholeNumber,
} from './check-values.js';
import { lowestTrainedLayer, type Workload } from './workload.js';

/** @throws SchedulerError that lists every problem of the workloads and the cluster. */
export function checkInput(workloads: unknown, cluster: unknown, where = 'plan'): void {
  const problems: InputProblem[] = [];
  checkWorkloads(workloads, problems);
  checkCluster(cluster, problems);
  if (problems.length > 0) throw problemsError('SCHEDULER_INPUT_INVALID', where, problems);
}

export function checkCluster(value: unknown, problems: InputProblem[]): void {
  const fields = record(value, 'cluster', problems);
  if (!fields) return;
  const devices = list(fields['devices'], 'devices', inputLimits.devices, problems);
  const names = new Map<string, number>();
  if (devices?.length === 0) problems.push({ path: 'devices', message: 'is empty; at least one is needed' });
  for (const [index, value] of (devices ?? []).entries()) {
    const path = `devices[${index}]`;
    const device = record(value, path, problems);
    if (!device) continue;
    checkName(device['id'], `${path}.id`, names, index, problems);
    if (device['id'] === '*')
      problems.push({
        path: `${path}.id`,
        message: '"*" stands for any device in links; give it another id',
      });
    checkRates(device['flopsPerSecond'], path, problems);
    aboveZero(device['memoryBytes'], `${path}.memoryBytes`, problems);
    for (const key of ['overheadSeconds', 'watts', 'idleWatts', 'storageBytes'])
      if (device[key] !== undefined) atLeastZero(device[key], `${path}.${key}`, problems);
    if (device['storageBytesPerSecond'] !== undefined)
      aboveZero(device['storageBytesPerSecond'], `${path}.storageBytesPerSecond`, problems);
    checkPower(device, path, problems);
  }
  for (const [index, value] of (list(fields['links'], 'links', inputLimits.links, problems) ?? []).entries())
    checkLink(value, `links[${index}]`, names, problems);
}

function checkRates(rates: unknown, path: string, problems: InputProblem[]): void {
  if (typeof rates === 'object' && rates !== null)
    for (const kind of ['forward', 'input', 'weight'])
      aboveZero((rates as Record<string, unknown>)[kind], `${path}.flopsPerSecond.${kind}`, problems);
  else aboveZero(rates, `${path}.flopsPerSecond`, problems);
}

/** Modes and limits; a limit means nothing where the quantity is not known. */
function checkPower(device: Record<string, unknown>, path: string, problems: InputProblem[]): void {
  const share = device['sustainedShare'];
  if (share !== undefined && !(typeof share === 'number' && share > 0 && share <= 1))
    problems.push({
      path: `${path}.sustainedShare`,
      message: `must be above 0 and at most 1, got ${show(share)}`,
    });
  const modes =
    device['modes'] === undefined ? [] : list(device['modes'], `${path}.modes`, inputLimits.modes, problems);
  const names = new Map<string, number>();
  const settings = [{ watts: device['watts'], where: path }];
  for (const [index, value] of (modes ?? []).entries()) {
    const where = `${path}.modes[${index}]`;
    const mode = record(value, where, problems);
    if (!mode) continue;
    checkName(mode['name'], `${where}.name`, names, index, problems);
    checkRates(mode['flopsPerSecond'], where, problems);
    for (const key of ['watts', 'idleWatts', 'overheadSeconds'])
      if (mode[key] !== undefined) atLeastZero(mode[key], `${where}.${key}`, problems);
    if (mode['memoryBytes'] !== undefined) aboveZero(mode['memoryBytes'], `${where}.memoryBytes`, problems);
    settings.push({ watts: mode['watts'] ?? device['watts'], where });
  }
  for (const key of ['wattsLimit', 'joulesLimit']) {
    if (device[key] === undefined) continue;
    aboveZero(device[key], `${path}.${key}`, problems);
    for (const { watts, where } of settings)
      if (watts === undefined)
        problems.push({
          path: `${where}.watts`,
          message: `is missing, but ${path} has a ${key}; say what the device draws, or leave the limit out`,
        });
  }
}

function checkLink(
  value: unknown,
  path: string,
  names: ReadonlyMap<string, number>,
  problems: InputProblem[],
): void {
  const link = record(value, path, problems);
  if (!link) return;
  for (const side of ['from', 'to'])
    if (link[side] !== '*' && !(typeof link[side] === 'string' && names.has(link[side])))
      problems.push({
        path: `${path}.${side}`,
        message: `leads to ${show(link[side])}, which is no device (${few([...names.keys()])} or "*")`,
      });
  if (link['from'] === link['to'] && link['from'] !== '*')
    problems.push({ path, message: `joins ${show(link['from'])} to itself` });
  aboveZero(link['bytesPerSecond'], `${path}.bytesPerSecond`, problems);
  atLeastZero(link['latencySeconds'], `${path}.latencySeconds`, problems);
  const loss = link['loss'];
  if (loss !== undefined && !(typeof loss === 'number' && loss >= 0 && loss < 1))
    problems.push({ path: `${path}.loss`, message: `must be at least 0 and below 1, got ${show(loss)}` });
  if (link['medium'] !== undefined && typeof link['medium'] !== 'string')
    problems.push({ path: `${path}.medium`, message: `must be a name, got ${show(link['medium'])}` });
}

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
