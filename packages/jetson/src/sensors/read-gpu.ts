/** Load and clock of the GPU. */
import { type CommandRunner, type FileTree, readNumber } from '../file-tree.js';

export interface GpuState {
  /** Missing where nothing tells; never 0 for unknown. */
  readonly loadPercent?: number;
  readonly hertz?: number;
  readonly maxHertz?: number;
}

/** Per mille, in the order in which kernels of JetPack 4 to 7 have them. */
const loadFiles = [
  '/sys/devices/platform/gpu.0/load',
  '/sys/devices/gpu.0/load',
  '/sys/devices/platform/bus@0/17000000.gpu/load',
  '/sys/devices/platform/17000000.gpu/load',
];

/**
 * Looks for its files anew each time: early after boot they may not be there yet.
 *
 * Where there is no load file (Thor) `nvidia-smi` is asked, if a runner is given.
 */
export async function readGpu(tree: FileTree, run?: CommandRunner): Promise<GpuState> {
  let load: number | undefined;
  for (const path of loadFiles) {
    const perMille = await readNumber(tree, path);
    if (perMille === undefined || perMille < 0 || perMille > 1000) continue;
    load = perMille / 10;
    break;
  }
  load ??= await askNvml(run);
  const name = (await tree.list('/sys/class/devfreq')).find((device) => gpuDevice.test(device));
  const clock = (file: string) =>
    name === undefined ? Promise.resolve(undefined) : readNumber(tree, `/sys/class/devfreq/${name}/${file}`);
  const [hertz, maxHertz] = [await clock('cur_freq'), await clock('max_freq')];
  return {
    ...(load !== undefined && { loadPercent: load }),
    ...(hertz !== undefined && { hertz }),
    ...(maxHertz !== undefined && { maxHertz }),
  };
}

/** Nano, Orin, Thor; the chips' names on other kernels. */
const gpuDevice = /gpu|ga10b|gv11b|gp10b|gm20b/i;

/** Of the first GPU; Orin's driver prints `[N/A]`. */
async function askNvml(run: CommandRunner | undefined): Promise<number | undefined> {
  const printed = await run?.('nvidia-smi', ['--query-gpu=utilization.gpu', '--format=csv,noheader,nounits']);
  const [first = ''] = printed?.trim().split('\n') ?? [];
  return /^\d+$/.test(first) ? Number(first) : undefined;
}
