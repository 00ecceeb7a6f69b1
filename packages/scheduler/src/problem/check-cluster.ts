/** Checks a cluster: devices, their modes and limits, and links. */
import type { InputProblem } from '../scheduler-error.js';
import { aboveZero, atLeastZero, checkName, few, list, record, show } from './check-values.js';
import { inputLimits } from './input-limits.js';

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
