/** Temperatures of the thermal zones, or of other sensors where there are no zones. */
import { type FileTree, readNumber, readText } from '../file-tree.js';

export interface Temperature {
  readonly sensor: string;
  readonly celsius: number;
}

/** Finds the hottest sensor; a power chip's, which is constant on old boards, counts only if there is no other. */
export function hottestOf(temperatures: readonly Temperature[]): Temperature | undefined {
  const meaningful = temperatures.filter(({ sensor }) => !/^pmic/i.test(sensor));
  return (meaningful.length > 0 ? meaningful : temperatures).reduce<Temperature | undefined>(
    (hottest, next) => (hottest && hottest.celsius >= next.celsius ? hottest : next),
    undefined,
  );
}

/** Reads all temperatures except those of zones that are off: these cannot be read, or report -256 °C or less. */
export async function readTemperatures(tree: FileTree): Promise<Temperature[]> {
  const zones = await readZones(tree);
  return zones.length > 0 ? zones : readHwmon(tree);
}

async function readZones(tree: FileTree): Promise<Temperature[]> {
  const root = '/sys/class/thermal';
  const temperatures: Temperature[] = [];
  for (const zone of await tree.list(root)) {
    if (!zone.startsWith('thermal_zone')) continue;
    const type = await readText(tree, `${root}/${zone}/type`);
    const celsius = degrees(await readNumber(tree, `${root}/${zone}/temp`));
    if (celsius !== undefined) temperatures.push({ sensor: shortName(type ?? zone), celsius });
  }
  return temperatures;
}

async function readHwmon(tree: FileTree): Promise<Temperature[]> {
  const root = '/sys/class/hwmon';
  const temperatures: Temperature[] = [];
  for (const monitor of await tree.list(root)) {
    const chip = await readText(tree, `${root}/${monitor}/name`);
    for (const file of await tree.list(`${root}/${monitor}`)) {
      const [, channel] = /^temp(\d+)_input$/.exec(file) ?? [];
      if (channel === undefined) continue;
      const celsius = degrees(await readNumber(tree, `${root}/${monitor}/${file}`));
      const label = await readText(tree, `${root}/${monitor}/temp${channel}_label`);
      if (celsius !== undefined)
        temperatures.push({ sensor: [chip ?? monitor, label ?? channel].join(' '), celsius });
    }
  }
  return temperatures;
}

const degrees = (milli: number | undefined): number | undefined =>
  milli === undefined || milli <= -256_000 ? undefined : milli / 1000;

/** `GPU-therm` and `gpu-thermal` → `gpu`, as current tegrastats prints it. */
const shortName = (type: string): string => type.replace(/[-_](therm|thermal)$/i, '').toLowerCase();
