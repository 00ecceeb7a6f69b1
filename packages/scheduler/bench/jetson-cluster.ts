/**
 * Boards as published, on one Wi-Fi channel.
 *
 * Peak FP16 rates, memory totals and power modes are NVIDIA's figures. Nothing here was measured on a board: how much of the peak a
 * training step reaches, what waiting costs and how much memory training may use are assumptions, the same for all boards.
 */
import type { Cluster, DeviceProfile } from '@contextlora/scheduler';

interface Board {
  readonly id: string;
  /** Dense FP16, of the GPU. */
  readonly peakTeraflops: number;
  /** As the operating system reports it. */
  readonly memoryMegabytes: number;
  /** Of the default power mode. */
  readonly watts: number;
}

const boards = {
  nano: { peakTeraflops: 0.472, memoryMegabytes: 3964, watts: 10 },
  tx2: { peakTeraflops: 1.33, memoryMegabytes: 7852, watts: 15 },
  xavierNx: { peakTeraflops: 6.8, memoryMegabytes: 6851, watts: 15 },
  orinNano4: { peakTeraflops: 5.1, memoryMegabytes: 3400, watts: 10 },
  orinNano8: { peakTeraflops: 10.2, memoryMegabytes: 7620, watts: 15 },
} as const;

export const assumptions = {
  /** Share of the peak that a step reaches. */
  utilisation: 0.3,
  /** Share of the memory that training may use. */
  memoryShare: 0.5,
  /** Power while waiting, as a share of the power mode. */
  idleShare: 0.3,
  /** Of a layer in a pass: some 60 kernels of a decoder layer with adapters, launched in about 15 µs each. */
  overheadSeconds: 0.001,
  wifiLatencySeconds: 0.003,
} as const;

const device = ({ id, peakTeraflops, memoryMegabytes, watts }: Board): DeviceProfile => ({
  id,
  flopsPerSecond: peakTeraflops * 1e12 * assumptions.utilisation,
  memoryBytes: Math.round(memoryMegabytes * 2 ** 20 * assumptions.memoryShare),
  overheadSeconds: assumptions.overheadSeconds,
  watts,
  idleWatts: watts * assumptions.idleShare,
});

/** Five different boards that share the air of one channel. */
export const fiveBoards = (megabitsPerSecond: number): Cluster =>
  onWifi(
    [
      device({ id: 'nano', ...boards.nano }),
      device({ id: 'tx2', ...boards.tx2 }),
      device({ id: 'xavier-nx', ...boards.xavierNx }),
      device({ id: 'orin-nano-4', ...boards.orinNano4 }),
      device({ id: 'orin-nano-8', ...boards.orinNano8 }),
    ],
    megabitsPerSecond,
  );

/** Three small boards, for charts. */
export const threeBoards = (megabitsPerSecond: number): Cluster =>
  onWifi(
    [
      device({ id: 'tx2', ...boards.tx2 }),
      device({ id: 'orin-nano-4', ...boards.orinNano4 }),
      device({ id: 'xavier-nx', ...boards.xavierNx }),
    ],
    megabitsPerSecond,
  );

const onWifi = (devices: readonly DeviceProfile[], megabitsPerSecond: number): Cluster => ({
  devices,
  links: [
    {
      from: '*',
      to: '*',
      bytesPerSecond: (megabitsPerSecond * 1e6) / 8,
      latencySeconds: assumptions.wifiLatencySeconds,
      medium: 'wifi',
    },
  ],
});
