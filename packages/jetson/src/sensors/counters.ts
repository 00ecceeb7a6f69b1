/** Counters of processor time and energy; two readings give loads and mean powers. */
import { type FileTree, readNumber, readText } from '../file-tree.js';
import type { RailPower } from './total-power.js';

export interface CoreLoad {
  readonly core: number;
  readonly loadPercent: number;
}

/** Counters that only grow. */
export interface Counters {
  readonly atSeconds: number;
  /** Ticks by core. */
  readonly cores: readonly { readonly core: number; readonly busy: number; readonly total: number }[];
  /** Energy by RAPL domain; the counter starts again at 0 after `rangeJoules`. */
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
      // user nice system idle iowait irq softirq steal; guest time is part of user.
      const ticks = fields.trim().split(/\s+/).map(Number).slice(0, 8);
      const total = ticks.reduce((sum, count) => sum + count, 0);
      return { core: Number(core), busy: total - (ticks[3] ?? 0) - (ticks[4] ?? 0), total };
    },
  );
  const root = '/sys/class/powercap';
  const energies: Counters['energies'][number][] = [];
  for (const zone of await tree.list(root)) {
    // Subdomains (intel-rapl:0:0) are part of their package.
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

/** Computes the load of each core between two readings, leaving out cores that were off or did not tick. */
export function coreLoads(before: Counters, after: Counters): CoreLoad[] {
  return after.cores.flatMap(({ core, busy, total }) => {
    const earlier = before.cores.find((candidate) => candidate.core === core);
    if (!earlier || total <= earlier.total) return [];
    const share = (busy - earlier.busy) / (total - earlier.total);
    return [{ core, loadPercent: 100 * Math.min(1, Math.max(0, share)) }];
  });
}

/** Computes the mean power of each domain between two readings, allowing for one restart of a counter. */
export function counterPowers(before: Counters, after: Counters): RailPower[] {
  const seconds = after.atSeconds - before.atSeconds;
  if (seconds <= 0) return [];
  return after.energies.flatMap(({ domain, joules, rangeJoules }) => {
    const earlier = before.energies.find((candidate) => candidate.domain === domain);
    if (!earlier) return [];
    const used = joules >= earlier.joules ? joules - earlier.joules : joules - earlier.joules + rangeJoules;
    return used < 0 ? [] : [{ rail: domain, watts: used / seconds }];
  });
}
