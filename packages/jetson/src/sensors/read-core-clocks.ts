/** Clocks of the CPU cores. */
import { type FileTree, readNumber } from '../file-tree.js';

export interface CoreClock {
  readonly core: number;
  readonly hertz: number;
}

/** Reads the clock of each core that is on. */
export async function readCoreClocks(tree: FileTree): Promise<CoreClock[]> {
  const root = '/sys/devices/system/cpu';
  const clocks: CoreClock[] = [];
  for (const name of await tree.list(root)) {
    const [, core] = /^cpu(\d+)$/.exec(name) ?? [];
    if (core === undefined) continue;
    const kilohertz = await readNumber(tree, `${root}/${name}/cpufreq/scaling_cur_freq`);
    if (kilohertz !== undefined) clocks.push({ core: Number(core), hertz: kilohertz * 1000 });
  }
  return clocks;
}
