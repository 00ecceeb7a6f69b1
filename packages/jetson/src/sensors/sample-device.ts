/** A machine's present load, memory, power, temperatures and clocks, once or repeatedly. */
import { type CommandRunner, type FileTree, readNumber } from '../file-tree.js';
import { identifyBoard } from '../board/identify-board.js';
import { type Board, readBoard } from '../board/read-board.js';
import { readGpu } from './read-gpu.js';
import { type Memory, readMemory } from './read-memory.js';
import { readPowerRails } from './read-power-rails.js';
import { type CoreLoad, coreLoads, counterPowers, type Counters, readCounters } from './counters.js';
import { type CoreClock, readCoreClocks } from './read-core-clocks.js';
import { readTemperatures, type Temperature } from './read-temperatures.js';
import { type RailPower, totalPower, type TotalPower } from './total-power.js';

export interface DeviceSample {
  /** By the given clock. */
  readonly atSeconds: number;
  readonly board: Board & {
    /** Id of the published profile. */
    readonly profile?: string;
  };
  readonly load: {
    readonly gpuPercent?: number;
    /** Mean over the cores that are on. */
    readonly cpuPercent?: number;
    readonly cores: readonly CoreLoad[];
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
    readonly cores: readonly CoreClock[];
  };
  /** What could be read with more rights (as root). */
  readonly missing: readonly { readonly what: string; readonly path: string }[];
}

export interface SampleOptions {
  /** Monotonic seconds. */
  readonly clock: () => number;
  readonly sleep: (seconds: number) => Promise<void>;
  /** Runs nvidia-smi (on Thor) and nvpmodel where no file has their information. */
  readonly run?: CommandRunner;
  /** Time between the two readings of the counters that give loads and powers. */
  readonly windowSeconds?: number;
}

/** Takes one sample; what cannot be read is absent from it, never 0 and never an error. */
export async function sampleDevice(tree: FileTree, options: SampleOptions): Promise<DeviceSample> {
  const { clock, sleep, windowSeconds = 0.25 } = options;
  const before = await readCounters(tree, clock());
  await sleep(windowSeconds);
  return sampleSince(before, await readCounters(tree, clock()), tree, options);
}

export interface WatchOptions extends SampleOptions {
  readonly intervalSeconds?: number;
  /** Number of samples; unlimited if absent. */
  readonly count?: number;
}

/** Takes samples one interval apart until `count` or `return()`; loads and powers from counters are means over the interval. */
export async function* watchDevice(tree: FileTree, options: WatchOptions): AsyncGenerator<DeviceSample> {
  const { clock, sleep, windowSeconds = 0.25, intervalSeconds = 1, count = Infinity } = options;
  let before = await readCounters(tree, clock());
  let due = before.atSeconds + Math.min(windowSeconds, intervalSeconds);
  for (let index = 0; index < count; index++) {
    await sleep(Math.max(0, due - clock()));
    const after = await readCounters(tree, clock());
    yield await sampleSince(before, after, tree, options);
    before = after;
    // A machine too slow for the interval skips samples and does not catch up.
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
  // psys measures the whole machine, including the packages.
  const wholeMachine = counted.filter(({ rail }) => rail === 'psys');
  const total = totalPower(wholeMachine.length > 0 ? wholeMachine : rails);
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
    missing: tree.denied().map((path) => ({ what: kindOf(path), path })),
  };
}

/** Only root may read debugfs. */
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
const kindOf = (path: string): string => kinds.find(([pattern]) => pattern.test(path))?.[1] ?? 'a file';
