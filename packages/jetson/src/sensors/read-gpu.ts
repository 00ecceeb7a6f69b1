/** Load and clock of the GPU. */
import { type CommandRunner, type FileTree, readNumber } from '../file-tree.js';

interface GpuState {
  /** Absent if unknown, never 0. */
  readonly loadPercent?: number;
  readonly hertz?: number;
  readonly maxHertz?: number;
}

/** Per mille; paths of the kernels of JetPack 4 to 7, in this order. */
const loadFiles = [
  '/sys/devices/platform/gpu.0/load',
  '/sys/devices/gpu.0/load',
  '/sys/devices/platform/bus@0/17000000.gpu/load',
  '/sys/devices/platform/17000000.gpu/load',
];

/**
 * Reads the GPU's load and clock; where there is no load file (Thor) and `run` is given, it asks `nvidia-smi`.
 *
 * It searches for the files on every call, because they may not exist yet soon after boot.
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

/** Nano, Orin and Thor; other kernels use the chip's name. */
const gpuDevice = /gpu|ga10b|gv11b|gp10b|gm20b/i;

/** Load of the first GPU in percent; Orin's driver prints `[N/A]`. */
async function askNvml(run: CommandRunner | undefined): Promise<number | undefined> {
  const printed = await run?.('nvidia-smi', ['--query-gpu=utilization.gpu', '--format=csv,noheader,nounits']);
  const [first = ''] = printed?.trim().split('\n') ?? [];
  return /^\d+$/.test(first) ? Number(first) : undefined;
}
