/**
 * Five boards as published, on one Wi-Fi channel, for plans without boards.
 *
 * Peak FP16 rates, memory and power modes are NVIDIA's figures (data sheets of the modules); nothing here was measured on a board. What
 * share of the peak a step reaches, what waiting costs, what an instruction costs and how much memory training may use are assumptions.
 */
import type { Cluster, DeviceProfile } from '@contextlora/scheduler';

export const boardAssumptions = {
  /** Share of the peak that a step reaches. */
  utilisation: 0.3,
  /** Share of the memory that training may use. */
  memoryShare: 0.5,
  /** Power while waiting, as a share of the mode's. */
  idleShare: 0.3,
  /** Of an instruction: launches and bookkeeping. */
  overheadSeconds: 0.002,
  wifiLatencySeconds: 0.003,
} as const;

interface Board {
  readonly id: string;
  /** Dense FP16, of the GPU. */
  readonly peakTeraflops: number;
  /** As the operating system reports it. */
  readonly memoryMebibytes: number;
  /** Of the default power mode. */
  readonly watts: number;
}

const boards: readonly Board[] = [
  { id: 'nano', peakTeraflops: 0.472, memoryMebibytes: 3964, watts: 10 },
  { id: 'tx2', peakTeraflops: 1.33, memoryMebibytes: 7852, watts: 15 },
  { id: 'xavier-nx', peakTeraflops: 6.8, memoryMebibytes: 6851, watts: 15 },
  { id: 'orin-nano-4', peakTeraflops: 5.1, memoryMebibytes: 3400, watts: 10 },
  { id: 'orin-nano-8', peakTeraflops: 10.2, memoryMebibytes: 7620, watts: 15 },
];

const profileOf = ({ id, peakTeraflops, memoryMebibytes, watts }: Board): DeviceProfile => ({
  id,
  flopsPerSecond: peakTeraflops * 1e12 * boardAssumptions.utilisation,
  memoryBytes: Math.round(memoryMebibytes * 2 ** 20 * boardAssumptions.memoryShare),
  overheadSeconds: boardAssumptions.overheadSeconds,
  watts,
  idleWatts: watts * boardAssumptions.idleShare,
});

/** A Nano, a TX2, a Xavier NX and two Orin Nanos that share the air of one channel. */
export const publishedBoards = (megabitsPerSecond: number): Cluster => ({
  devices: boards.map(profileOf),
  links: [
    {
      from: '*',
      to: '*',
      bytesPerSecond: (megabitsPerSecond * 1e6) / 8,
      latencySeconds: boardAssumptions.wifiLatencySeconds,
      medium: 'wifi',
    },
  ],
});
