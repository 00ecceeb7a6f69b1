/** Memory, core clocks and the counters from which loads and powers follow by two reads. */
import { type FileTree, readNumber, readText } from '../file-tree.js';

export interface Memory {
  /** Shared by CPU and GPU on a Jetson. */
  readonly totalBytes: number;
  readonly availableBytes: number;
  readonly swapTotalBytes: number;
  readonly swapUsedBytes: number;
}

/** From /proc/meminfo; undefined where it cannot be read. */
export async function readMemory(tree: FileTree): Promise<Memory | undefined> {
  const text = (await tree.read('/proc/meminfo')) ?? '';
  const bytes = (field: string): number | undefined => {
    const [, kilobytes] = new RegExp(`^${field}:\\s*(\\d+) kB`, 'm').exec(text) ?? [];
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
  };
  const [total, available] = [bytes('MemTotal'), bytes('MemAvailable') ?? bytes('MemFree')];
  if (total === undefined || available === undefined) return undefined;
  const swap = bytes('SwapTotal') ?? 0;
  return {
    totalBytes: total,
    availableBytes: available,
    swapTotalBytes: swap,
    swapUsedBytes: swap - (bytes('SwapFree') ?? swap),
  };
}

/** Hertz of each core that is on. */
export async function readCoreClocks(tree: FileTree): Promise<{ core: number; hertz: number }[]> {
  const root = '/sys/devices/system/cpu';
  const clocks: { core: number; hertz: number }[] = [];
  for (const name of await tree.list(root)) {
    const [, core] = /^cpu(\d+)$/.exec(name) ?? [];
    if (core === undefined) continue;
    const kilohertz = await readNumber(tree, `${root}/${name}/cpufreq/scaling_cur_freq`);
    if (kilohertz !== undefined) clocks.push({ core: Number(core), hertz: kilohertz * 1000 });
  }
  return clocks;
}

/** Counters that only grow. */
export interface Counters {
  readonly atSeconds: number;
  /** Ticks by core. */
  readonly cores: readonly { readonly core: number; readonly busy: number; readonly total: number }[];
  /** Energy by RAPL domain. */
  readonly energies: readonly {
    readonly domain: string;
    readonly joules: number;
    readonly rangeJoules: number;
  }[];
}

/** Reads /proc/stat and the RAPL counters. */
export async function readCounters(tree: FileTree, atSeconds: number): Promise<Counters> {
  const cores = [...((await tree.read('/proc/stat')) ?? '').matchAll(/^cpu(\d+) (.*)$/gm)].map(
    ([, core, fields = '']) => {
      // user nice system idle iowait irq softirq steal; guest time is within user.
      const ticks = fields.trim().split(/\s+/).map(Number).slice(0, 8);
      const total = ticks.reduce((sum, count) => sum + count, 0);
      return { core: Number(core), busy: total - (ticks[3] ?? 0) - (ticks[4] ?? 0), total };
    },
  );
  const root = '/sys/class/powercap';
  const energies: Counters['energies'][number][] = [];
  for (const zone of await tree.list(root)) {
    // Domains within a package are counted in it already.
    if (!/^intel-rapl:\d+$/.test(zone)) continue;
    const microjoules = await readNumber(tree, `${root}/${zone}/energy_uj`);
    if (microjoules === undefined) continue;
    energies.push({
      domain: (await readText(tree, `${root}/${zone}/name`)) ?? zone,
      joules: microjoules / 1e6,
      rangeJoules: ((await readNumber(tree, `${root}/${zone}/max_energy_range_uj`)) ?? 0) / 1e6,
    });
  }
  return { atSeconds, cores, energies };
}

/** Load of each core between two reads; cores that were off or did not tick are left out. */
export function coreLoads(
  before: Counters,
  after: Counters,
): { readonly core: number; readonly loadPercent: number }[] {
  return after.cores.flatMap(({ core, busy, total }) => {
    const earlier = before.cores.find((one) => one.core === core);
    if (!earlier || total <= earlier.total) return [];
    const share = (busy - earlier.busy) / (total - earlier.total);
    return [{ core, loadPercent: 100 * Math.min(1, Math.max(0, share)) }];
  });
}

/** Mean power of each energy counter between two reads; a counter that passed its range once is put right. */
export function counterPowers(
  before: Counters,
  after: Counters,
): { readonly rail: string; readonly watts: number }[] {
  const seconds = after.atSeconds - before.atSeconds;
  if (seconds <= 0) return [];
  return after.energies.flatMap(({ domain, joules, rangeJoules }) => {
    const earlier = before.energies.find((one) => one.domain === domain);
    if (!earlier) return [];
    const used = joules >= earlier.joules ? joules - earlier.joules : joules - earlier.joules + rangeJoules;
    return used < 0 ? [] : [{ rail: domain, watts: used / seconds }];
  });
}
