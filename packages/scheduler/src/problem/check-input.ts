/** Checks workloads and clusters, which come from files and other people's code, and lists everything that is wrong. */
import { type InputProblem, problemsError } from '../scheduler-error.js';
import {
  aboveZero,
  anything,
  atLeastZero,
  type Check,
  checkFields,
  checkName,
  few,
  flag,
  inputLimits,
  list,
  listOf,
  type Note,
  oneOf,
  show,
  text,
  wholeNumber,
  within,
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

/** Devices, their modes and limits, links, and what the devices hold. */
function checkCluster(value: unknown, note: Note): void {
  const names = new Map<string, number>();
  const known = oneOf(names, 'device');
  checkFields(
    value,
    'cluster',
    {
      required: {
        devices(devices, path) {
          const all = list(devices, path, inputLimits.devices, note) ?? [];
          if (Array.isArray(devices) && devices.length === 0) note(path, 'is empty; at least one is needed');
          for (const [index, device] of all.entries()) checkDevice(device, index, names, note);
        },
        links: listOf((link, path) => {
          checkLink(link, path, names, note);
        }, inputLimits.links),
      },
      optional: {
        resident: listOf(known, inputLimits.devices),
        keeper: known,
        measured: anything,
      },
    },
    note,
  );
}

function checkDevice(value: unknown, index: number, names: Map<string, number>, note: Note): void {
  const path = `devices[${index}]`;
  const device = checkFields(
    value,
    path,
    {
      required: {
        id(id, at) {
          checkName(id, at, names, index, note);
          if (id === '*') note(at, '"*" stands for any device in links; give it another id');
        },
        flopsPerSecond: checkRates,
        memoryBytes: aboveZero,
      },
      optional: {
        base(format, at) {
          if (typeof format !== 'string' || format === '')
            note(at, `must be the name of a format, got ${show(format)}`);
        },
        overheadSeconds: atLeastZero,
        watts: atLeastZero,
        idleWatts: atLeastZero,
        storageBytes: atLeastZero,
        storageBytesPerSecond: aboveZero,
        sustainedShare: within('above 0 and at most 1', (share) => share > 0 && share <= 1),
        modes: listOf(anything, inputLimits.modes),
        wattsLimit: aboveZero,
        joulesLimit: aboveZero,
      },
    },
    note,
  );
  if (device) checkPower(device, path, note);
}

const checkRate: Check = (rate, path, note) => {
  if (!Array.isArray(rate)) {
    aboveZero(rate, path, note);
    return;
  }
  if (rate.length === 0) note(path, 'is empty; give at least one point');
  let before = 0;
  listOf((point, at) => {
    checkFields(
      point,
      at,
      {
        required: {
          samples(samples, where) {
            aboveZero(samples, where, note);
            if ((samples as number) <= before)
              note(where, `must be above the ${before} of the point before it`);
            before = Number(samples);
          },
          flopsPerSecond: aboveZero,
        },
      },
      note,
    );
  }, inputLimits.ratePoints)(rate, path, note);
};

const checkRates: Check = (rates, path, note) => {
  const required = { forward: checkRate, input: checkRate, weight: checkRate };
  if (typeof rates !== 'object' || rates === null || Array.isArray(rates)) checkRate(rates, path, note);
  else checkFields(rates, path, { required }, note);
};

/** Modes, and limits, which mean nothing where the quantity is not known. */
function checkPower(device: Record<string, unknown>, path: string, note: Note): void {
  const { modes = [] } = device;
  const names = new Map<string, number>();
  const settings = [{ watts: device['watts'], where: path }];
  for (const [index, value] of (Array.isArray(modes) ? (modes as unknown[]) : []).entries()) {
    const where = `${path}.modes[${index}]`;
    const mode = checkFields(
      value,
      where,
      {
        required: {
          name(name, at) {
            checkName(name, at, names, index, note);
          },
          flopsPerSecond: checkRates,
        },
        optional: {
          watts: atLeastZero,
          idleWatts: atLeastZero,
          overheadSeconds: atLeastZero,
          memoryBytes: aboveZero,
        },
      },
      note,
    );
    if (mode) settings.push({ watts: mode['watts'] ?? device['watts'], where });
  }
  for (const key of ['wattsLimit', 'joulesLimit'])
    if (device[key] !== undefined)
      for (const { watts, where } of settings)
        if (watts === undefined)
          note(
            `${where}.watts`,
            `is missing, but ${path} has a ${key}; say what the device draws, or leave the limit out`,
          );
}

function checkLink(value: unknown, path: string, names: ReadonlyMap<string, number>, note: Note): void {
  const end: Check = (id, at) => {
    if (id !== '*' && !(typeof id === 'string' && names.has(id)))
      note(at, `leads to ${show(id)}, which is no device (${few([...names.keys()])} or "*")`);
  };
  const link = checkFields(
    value,
    path,
    {
      required: { from: end, to: end, bytesPerSecond: aboveZero, latencySeconds: atLeastZero },
      optional: {
        loss: within('at least 0 and below 1', (loss) => loss >= 0 && loss < 1),
        medium: text,
        relayed: flag,
      },
    },
    note,
  );
  if (link && link['from'] === link['to'] && link['from'] !== '*')
    note(path, `joins ${show(link['from'])} to itself`);
}

const layerChecks = {
  required: {
    forwardFlops: atLeastZero,
    inputFlops: atLeastZero,
    weightFlops: atLeastZero,
    parameterBytes: atLeastZero,
    gradientBytes: atLeastZero,
    optimizerBytes: atLeastZero,
    activationBytes: atLeastZero,
    outputBytes: atLeastZero,
  },
  optional: { name: text },
};

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
    checkFields(
      value,
      `workloads[${index}]`,
      {
        required: {
          name(name, at) {
            checkName(name, at, names, index, note);
          },
          samples: wholeNumber(1, inputLimits.samples),
          layers: checkLayers,
        },
        optional: {
          steps: wholeNumber(1, inputLimits.steps),
          epochs: wholeNumber(1, inputLimits.steps),
          dependsOn: listOf(anything, inputLimits.workloads),
          validationSamples: wholeNumber(0, inputLimits.samples),
          promptSamples: wholeNumber(0, inputLimits.samples),
        },
      },
      note,
    );
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
    for (const name of (workload.dependsOn ?? []) as readonly unknown[])
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

const checkLayers: Check = (layers, path, note) => {
  if (Array.isArray(layers) && layers.length === 0) note(path, 'is empty; a model has at least one layer');
  listOf((layer, at) => {
    checkFields(layer, at, layerChecks, note);
  }, inputLimits.layers)(layers, path, note);
};

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
