/** A line of tegrastats in the form of a sample read from files. */
import { identifyBoard } from '../board/identify-board.js';
import type { TegrastatsSample } from './parse-tegrastats.js';
import type { Board } from '../board/read-board.js';
import type { DeviceSample } from '../sensors/sample-device.js';
import { totalPower } from '../sensors/total-power.js';

export interface SampleOfTegrastatsOptions {
  readonly atSeconds: number;
  /** Not part of the line. */
  readonly board: Board;
}

/** Converts a parsed line; fields that it lacks are absent, and memory held by caches counts as used, as in tegrastats. */
export function sampleOfTegrastats(
  { ram, swap, cores, gpu, memoryController, temperatures, rails }: TegrastatsSample,
  { atSeconds, board }: SampleOfTegrastatsOptions,
): DeviceSample {
  const loads = cores.flatMap(({ loadPercent }, core) =>
    loadPercent === undefined ? [] : [{ core, loadPercent }],
  );
  const profile = identifyBoard(board, ram?.totalBytes);
  const total = totalPower(rails);
  const [gpuMegahertz] = gpu?.megahertz ?? [];
  const [memoryMegahertz] = memoryController?.megahertz ?? [];
  return {
    atSeconds,
    board: { ...board, ...(profile !== undefined && { profile }) },
    load: {
      ...(gpu?.loadPercent !== undefined && { gpuPercent: gpu.loadPercent }),
      ...(loads.length > 0 && {
        cpuPercent: loads.reduce((sum, { loadPercent }) => sum + loadPercent, 0) / loads.length,
      }),
      cores: loads,
    },
    ...(ram && {
      memory: {
        totalBytes: ram.totalBytes,
        availableBytes: ram.totalBytes - ram.usedBytes,
        swapTotalBytes: swap?.totalBytes ?? 0,
        swapUsedBytes: swap?.usedBytes ?? 0,
      },
    }),
    power: { rails: rails.map(({ rail, watts }) => ({ rail, watts })), ...(total && { total }) },
    temperatures: temperatures.flatMap(({ sensor, celsius }) =>
      celsius === undefined ? [] : [{ sensor, celsius }],
    ),
    clocks: {
      ...(gpuMegahertz !== undefined && { gpuHertz: gpuMegahertz * 1e6 }),
      ...(memoryMegahertz !== undefined && { memoryHertz: memoryMegahertz * 1e6 }),
      cores: cores.flatMap(({ megahertz }, core) =>
        megahertz === undefined ? [] : [{ core, hertz: megahertz * 1e6 }],
      ),
    },
    missing: [],
  };
}
