/** What a machine does now: load, memory, power, heat and clocks, once or again and again. */
import { type CommandRunner, type FileTree, readNumber } from '../file-tree.js';
import { identifyBoard } from '../board/identify-board.js';
import { type Board, readBoard } from '../board/read-board.js';
import { readGpu } from './read-gpu.js';
import { readPowerRails } from './read-power-rails.js';
import {
  coreLoads,
  counterPowers,
  type Counters,
  type Memory,
  readCoreClocks,
  readCounters,
  readMemory,
} from './counters.js';
import { readTemperatures, type Temperature } from './read-temperatures.js';
import { type RailPower, totalPower, type TotalPower } from './total-power.js';

export interface DeviceSample {
  /** By the clock that was given. */
  readonly atSeconds: number;
  readonly board: Board & {
    /** Of the published profile that fits. */
    readonly profile?: string;
  };
  readonly load: {
    readonly gpuPercent?: number;
    /** Mean of the cores that are on. */
    readonly cpuPercent?: number;
    readonly cores: readonly { readonly core: number; readonly loadPercent: number }[];
  };
  readonly memory?: Memory;
  readonly power: {
    readonly rails: readonly RailPower[];
    readonly total?: TotalPower;
  };
  readonly temperatures: readonly Temperature[];
  readonly clocks: {
    readonly gpuHertz?: number;
    readonly gpuMaxHertz?: number;
    readonly memoryHertz?: number;
    readonly cores: readonly { readonly core: number; readonly hertz: number }[];
  };
  /** What more rights (root) would add. */
  readonly missing: readonly { readonly what: string; readonly path: string }[];
}

export interface SampleOptions {
  /** Monotonic seconds. */
  readonly clock: () => number;
  readonly sleep: (seconds: number) => Promise<void>;
  /** For what files do not tell: nvidia-smi on Thor, nvpmodel. */
  readonly run?: CommandRunner;
  /** Time between the two reads of counters, from which core loads follow. */
  readonly windowSeconds?: number;
}

/** One sample. What cannot be read is missing from it, never 0, and never an error. */
export async function sampleDevice(tree: FileTree, options: SampleOptions): Promise<DeviceSample> {
  const { clock, sleep, windowSeconds = 0.25 } = options;
  const before = await readCounters(tree, clock());
  await sleep(windowSeconds);
  return sampleSince(before, await readCounters(tree, clock()), tree, options);
}

export interface WatchOptions extends SampleOptions {
  readonly intervalSeconds?: number;
  /** Samples in all; without end when absent. */
  readonly count?: number;
}

/** Samples one interval apart; loads and counted powers are means over the interval. Stop it by `return()`. */
export async function* watchDevice(tree: FileTree, options: WatchOptions): AsyncGenerator<DeviceSample> {
  const { clock, sleep, windowSeconds = 0.25, intervalSeconds = 1, count = Infinity } = options;
  let before = await readCounters(tree, clock());
  let due = before.atSeconds + Math.min(windowSeconds, intervalSeconds);
  for (let index = 0; index < count; index++) {
    await sleep(Math.max(0, due - clock()));
    const after = await readCounters(tree, clock());
    yield await sampleSince(before, after, tree, options);
    before = after;
    // A machine that is too slow for the interval skips beats; it does not hurry after them.
    due = Math.max(due + intervalSeconds, clock());
  }
}

async function sampleSince(
  before: Counters,
  after: Counters,
  tree: FileTree,
  { run }: SampleOptions,
): Promise<DeviceSample> {
  const board = await readBoard(tree, run);
  const memory = await readMemory(tree);
  const gpu = await readGpu(tree, run);
  const counted = counterPowers(before, after);
  const rails = [...(await readPowerRails(tree)), ...counted];
  // psys is the whole machine and has the packages in it.
  const whole = counted.filter(({ rail }) => rail === 'psys');
  const total = totalPower(whole.length > 0 ? whole : rails);
  const temperatures = await readTemperatures(tree);
  const cores = coreLoads(before, after);
  const memoryHertz = await readMemoryClock(tree, board.soc);
  const coreClocks = await readCoreClocks(tree);
  const profile = identifyBoard(board, memory?.totalBytes);
  return {
    atSeconds: after.atSeconds,
    board: { ...board, ...(profile !== undefined && { profile }) },
    load: {
      ...(gpu.loadPercent !== undefined && { gpuPercent: gpu.loadPercent }),
      ...(cores.length > 0 && {
        cpuPercent: cores.reduce((sum, { loadPercent }) => sum + loadPercent, 0) / cores.length,
      }),
      cores,
    },
    ...(memory && { memory }),
    power: { rails, ...(total && { total }) },
    temperatures,
    clocks: {
      ...(gpu.hertz !== undefined && { gpuHertz: gpu.hertz }),
      ...(gpu.maxHertz !== undefined && { gpuMaxHertz: gpu.maxHertz }),
      ...(memoryHertz !== undefined && { memoryHertz }),
      cores: coreClocks,
    },
    missing: tree.denied().map((path) => ({ what: whatIs(path), path })),
  };
}

/** Only root may look into debugfs. */
async function readMemoryClock(tree: FileTree, soc: string | undefined): Promise<number | undefined> {
  if (soc === undefined) return undefined;
  return readNumber(
    tree,
    soc === 'tegra210' ? '/sys/kernel/debug/clk/emc/clk_rate' : '/sys/kernel/debug/bpmp/debug/clk/emc/rate',
  );
}

const kinds: readonly (readonly [RegExp, string])[] = [
  [/^\/sys\/kernel\/debug/, 'memory clock'],
  [/powercap/, 'processor power (RAPL)'],
  [/ina3221|hwmon|i2c/, 'power'],
  [/thermal/, 'temperature'],
  [/devfreq/, 'GPU clock'],
  [/\/load$/, 'GPU load'],
  [/cpufreq/, 'core clocks'],
  [/nvpmodel/, 'power mode'],
];
const whatIs = (path: string): string => kinds.find(([pattern]) => pattern.test(path))?.[1] ?? 'a file';
