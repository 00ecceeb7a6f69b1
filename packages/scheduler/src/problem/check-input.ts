/** Checks workloads and clusters, which come from files and other people's code, and lists everything that is wrong. */
import { type InputProblem, problemsError } from '../scheduler-error.js';
import {
  aboveZero,
  atLeastZero,
  checkName,
  few,
  inputLimits,
  list,
  type Note,
  record,
  show,
  whereGiven,
  wholeNumber,
} from './check-values.js';
import { lowestTrainedLayer, type Workload } from './workload.js';

/** @throws SchedulerError that lists every problem of the workloads and the cluster. */
export function checkInput(workloads: unknown, cluster: unknown, where = 'plan'): void {
  const problems: InputProblem[] = [];
  const note: Note = (path, message) => problems.push({ path, message });
  checkWorkloads(workloads, note);
  checkCluster(cluster, note);
  if (problems.length > 0) throw problemsError('SCHEDULER_INPUT_INVALID', where, problems);
}

/** Devices, their modes and limits, and links. */
function checkCluster(value: unknown, note: Note): void {
  const fields = record(value, 'cluster', note);
  if (!fields) return;
  const devices = list(fields['devices'], 'devices', inputLimits.devices, note);
  const names = new Map<string, number>();
  if (devices?.length === 0) note('devices', 'is empty; at least one is needed');
  for (const [index, value] of (devices ?? []).entries()) {
    const path = `devices[${index}]`;
    const device = record(value, path, note);
    if (!device) continue;
    checkName(device['id'], `${path}.id`, names, index, note);
    if (device['id'] === '*') note(`${path}.id`, '"*" stands for any device in links; give it another id');
    checkRates(device['flopsPerSecond'], path, note);
    aboveZero(device['memoryBytes'], `${path}.memoryBytes`, note);
    whereGiven(device, ['overheadSeconds', 'watts', 'idleWatts', 'storageBytes'], path, atLeastZero, note);
    whereGiven(device, ['storageBytesPerSecond'], path, aboveZero, note);
    checkPower(device, path, note);
  }
  for (const [index, value] of (list(fields['links'], 'links', inputLimits.links, note) ?? []).entries())
    checkLink(value, `links[${index}]`, names, note);
}

function checkRates(rates: unknown, path: string, note: Note): void {
  if (typeof rates === 'object' && rates !== null)
    for (const kind of ['forward', 'input', 'weight'])
      aboveZero((rates as Record<string, unknown>)[kind], `${path}.flopsPerSecond.${kind}`, note);
  else aboveZero(rates, `${path}.flopsPerSecond`, note);
}

/** Modes and limits; a limit means nothing where the quantity is not known. */
function checkPower(device: Record<string, unknown>, path: string, note: Note): void {
  const share = device['sustainedShare'];
  if (share !== undefined && !(typeof share === 'number' && share > 0 && share <= 1))
    note(`${path}.sustainedShare`, `must be above 0 and at most 1, got ${show(share)}`);
  const modes =
    device['modes'] === undefined ? [] : list(device['modes'], `${path}.modes`, inputLimits.modes, note);
  const names = new Map<string, number>();
  const settings = [{ watts: device['watts'], where: path }];
  for (const [index, value] of (modes ?? []).entries()) {
    const where = `${path}.modes[${index}]`;
    const mode = record(value, where, note);
    if (!mode) continue;
    checkName(mode['name'], `${where}.name`, names, index, note);
    checkRates(mode['flopsPerSecond'], where, note);
    whereGiven(mode, ['watts', 'idleWatts', 'overheadSeconds'], where, atLeastZero, note);
    whereGiven(mode, ['memoryBytes'], where, aboveZero, note);
    settings.push({ watts: mode['watts'] ?? device['watts'], where });
  }
  for (const key of ['wattsLimit', 'joulesLimit']) {
    if (device[key] === undefined) continue;
    aboveZero(device[key], `${path}.${key}`, note);
    for (const { watts, where } of settings)
      if (watts === undefined)
        note(
          `${where}.watts`,
          `is missing, but ${path} has a ${key}; say what the device draws, or leave the limit out`,
        );
  }
}

function checkLink(value: unknown, path: string, names: ReadonlyMap<string, number>, note: Note): void {
  const link = record(value, path, note);
  if (!link) return;
  for (const side of ['from', 'to'])
    if (link[side] !== '*' && !(typeof link[side] === 'string' && names.has(link[side])))
      note(
        `${path}.${side}`,
        `leads to ${show(link[side])}, which is no device (${few([...names.keys()])} or "*")`,
      );
  if (link['from'] === link['to'] && link['from'] !== '*')
    note(path, `joins ${show(link['from'])} to itself`);
  aboveZero(link['bytesPerSecond'], `${path}.bytesPerSecond`, note);
  atLeastZero(link['latencySeconds'], `${path}.latencySeconds`, note);
  const loss = link['loss'];
  if (loss !== undefined && !(typeof loss === 'number' && loss >= 0 && loss < 1))
    note(`${path}.loss`, `must be at least 0 and below 1, got ${show(loss)}`);
  if (link['medium'] !== undefined && typeof link['medium'] !== 'string')
    note(`${path}.medium`, `must be a name, got ${show(link['medium'])}`);
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

/** Names, numbers, dependencies, and that gradients reach what trains. */
function checkWorkloads(value: unknown, report: Note): void {
  let problemCount = 0;
  const note: Note = (path, message) => {
    problemCount += 1;
    report(path, message);
  };
  const workloads = list(value, 'workloads', inputLimits.workloads, note);
  if (!workloads) return;
  if (workloads.length === 0) note('workloads', 'is empty; there is nothing to plan');
  const names = new Map<string, number>();
  for (const [index, value] of workloads.entries()) {
    const path = `workloads[${index}]`;
    const fields = record(value, path, note);
    if (!fields) continue;
    checkName(fields['name'], `${path}.name`, names, index, note);
    wholeNumber(1, inputLimits.samples)(fields['samples'], `${path}.samples`, note);
    whereGiven(fields, ['steps', 'epochs'], path, wholeNumber(1, inputLimits.steps), note);
    checkLayers(fields['layers'], `${path}.layers`, note);
  }
  if (problemCount > 0) return;
  const checked = workloads as Workload[];
  const [first] = checked;
  for (const [index, workload] of checked.entries()) {
    const path = `workloads[${index}]`;
    if (first && workload.layers.length !== first.layers.length)
      note(
        `${path}.layers`,
        `has ${workload.layers.length} layers, but "${first.name}" has ${first.layers.length}; all tasks share one model`,
      );
    checkBackward(workload, path, note);
    const parents: unknown = workload.dependsOn ?? [];
    if (!Array.isArray(parents)) note(`${path}.dependsOn`, `must be a list of names, got ${show(parents)}`);
    else
      for (const name of parents as unknown[])
        if (typeof name !== 'string' || !names.has(name))
          note(
            `${path}.dependsOn`,
            `names ${show(name)}, which is not among the workloads (${few([...names.keys()])})`,
          );
  }
  if (problemCount > 0) return;
  const cycle = findCycle(checked);
  if (cycle) note('workloads', `wait for each other in a circle: ${cycle.join(' → ')}`);
}

function checkLayers(value: unknown, path: string, note: Note): void {
  const layers = list(value, path, inputLimits.layers, note);
  if (!layers) return;
  if (layers.length === 0) note(path, 'is empty; a model has at least one layer');
  for (const [index, value] of layers.entries()) {
    const fields = record(value, `${path}[${index}]`, note);
    if (!fields) continue;
    for (const key of layerFields) atLeastZero(fields[key], `${path}[${index}].${key}`, note);
  }
}

/** Above the lowest trained layer frozen layers owe the input gradient too: without it nothing below could train. */
function checkBackward(workload: Workload, path: string, note: Note): void {
  const lowest = lowestTrainedLayer(workload);
  for (const [index, layer] of workload.layers.entries())
    if (index > lowest && layer.inputFlops === 0 && layer.forwardFlops > 0)
      note(
        `${path}.layers[${index}].inputFlops`,
        `is 0, but layer ${lowest} below it trains and needs the gradient to pass; ` +
          `only layers up to the lowest trained one owe no input gradient`,
      );
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
