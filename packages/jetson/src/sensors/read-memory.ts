/** Main memory and swap. */
import type { FileTree } from '../file-tree.js';

export interface Memory {
  /** Shared by CPU and GPU on a Jetson. */
  readonly totalBytes: number;
  readonly availableBytes: number;
  readonly swapTotalBytes: number;
  readonly swapUsedBytes: number;
}

/** Reads /proc/meminfo; undefined if that fails. */
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
