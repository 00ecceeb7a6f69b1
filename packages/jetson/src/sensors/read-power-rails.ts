/** Power of each rail, from INA3221 monitors in both layouts of NVIDIA's kernels and from any other power sensor on Linux. */
import { type FileTree, readNumber, readText } from '../file-tree.js';
import type { RailPower } from './total-power.js';

/**
 * Reads the present power of every measured rail, except unconnected ones (`NC`) and the monitors' sums of shunt voltages.
 *
 * From JetPack 5 on, `hwmon` gives mV and mA; before, `iio` gives mW.
 */
export async function readPowerRails(tree: FileTree): Promise<RailPower[]> {
  const rails: RailPower[] = [];
  for (const monitor of await monitorsOf(tree)) {
    for (const name of await tree.list(`${monitor}/hwmon`))
      rails.push(...(await hwmonRails(tree, `${monitor}/hwmon/${name}`)));
    for (const name of await tree.list(monitor))
      if (name.startsWith('iio:device')) rails.push(...(await iioRails(tree, `${monitor}/${name}`)));
  }
  const others = await otherSensors(tree);
  return [
    ...rails,
    ...(rails.length > 0 ? withInputRail(others) : others).map(({ rail, watts }) => ({ rail, watts })),
  ];
}

/** Directories of the INA3221 chips, each once, found by the chip's name or else by its driver. */
async function monitorsOf(tree: FileTree): Promise<string[]> {
  const bus = '/sys/bus/i2c/devices';
  const found = new Map<string, string>();
  for (const device of await tree.list(bus))
    if ((await readText(tree, `${bus}/${device}/name`))?.startsWith('ina3221') === true)
      found.set(device, `${bus}/${device}`);
  for (const driver of ['/sys/bus/i2c/drivers/ina3221', '/sys/bus/i2c/drivers/ina3221x'])
    for (const device of await tree.list(driver))
      if (/^\d+-[0-9a-f]{4}$/.test(device) && !found.has(device)) found.set(device, `${driver}/${device}`);
  return [...found.values()];
}

async function hwmonRails(tree: FileTree, directory: string): Promise<RailPower[]> {
  const rails: RailPower[] = [];
  for (const channel of [1, 2, 3]) {
    const rail = await readText(tree, `${directory}/in${channel}_label`);
    const millivolts = await readNumber(tree, `${directory}/in${channel}_input`);
    const milliamperes = await readNumber(tree, `${directory}/curr${channel}_input`);
    if (rail === undefined || rail === 'NC' || millivolts === undefined || milliamperes === undefined)
      continue;
    rails.push({ rail, watts: (millivolts * milliamperes) / 1e6 });
  }
  return rails;
}

async function iioRails(tree: FileTree, directory: string): Promise<RailPower[]> {
  const rails: RailPower[] = [];
  for (const channel of [0, 1, 2]) {
    const rail = await readText(tree, `${directory}/rail_name_${channel}`);
    const milliwatts = await readNumber(tree, `${directory}/in_power${channel}_input`);
    if (rail !== undefined && rail !== 'NC' && milliwatts !== undefined)
      rails.push({ rail, watts: milliwatts / 1000 });
  }
  return rails;
}

interface OtherSensor extends RailPower {
  readonly chip: string;
  readonly hasLabel: boolean;
}

/** Chips of Linux's ina238 driver, one of which measures the input of Thor; the driver itself gives no labels. */
const inputChip = /^(?:ina2[23][78]|ina7[08]0|sq52206)/;

/**
 * On a board whose rails an INA3221 measures, the only such chip without a label measures the input, which tegrastats calls VIN: the rails
 * get their power from it, and adding it to them would count it twice.
 */
function withInputRail(sensors: readonly OtherSensor[]): readonly RailPower[] {
  const candidates = sensors.filter(({ chip, hasLabel }) => !hasLabel && inputChip.test(chip));
  const [input] = candidates;
  if (!input || candidates.length > 1) return sensors;
  return sensors.map((sensor) => (sensor === input ? { rail: 'VIN', watts: sensor.watts } : sensor));
}

/** `powerN_input` in µW, from any other chip. */
async function otherSensors(tree: FileTree): Promise<OtherSensor[]> {
  const root = '/sys/class/hwmon';
  const rails: OtherSensor[] = [];
  for (const monitor of await tree.list(root)) {
    const chip = await readText(tree, `${root}/${monitor}/name`);
    if (chip === undefined || chip.startsWith('ina3221')) continue;
    for (const file of await tree.list(`${root}/${monitor}`)) {
      const [, channel] = /^power(\d+)_input$/.exec(file) ?? [];
      if (channel === undefined) continue;
      const microwatts = await readNumber(tree, `${root}/${monitor}/${file}`);
      const label = await readText(tree, `${root}/${monitor}/power${channel}_label`);
      if (microwatts !== undefined)
        rails.push({
          chip,
          hasLabel: label !== undefined,
          rail: label ?? `${chip} ${channel}`,
          watts: microwatts / 1e6,
        });
    }
  }
  return rails;
}
