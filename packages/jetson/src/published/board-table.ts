/** The published figures of the Jetson family; nothing here was measured. */
import type { SourceName } from './sources.js';

/** A figure from the board's own source, or from the source named with it; `nvpmodel` is the board's configuration file. */
export type Figure = number | readonly [number, SourceName | 'nvpmodel'];

/** [name, watts, GPU cores, MHz]; without watts the mode has no budget, without MHz no limit of the clock. */
export type ModeRow = readonly [string, number | undefined, number, number?];

export interface BoardRow {
  readonly id: string;
  readonly name: string;
  readonly architecture: 'Maxwell' | 'Pascal' | 'Volta' | 'Ampere' | 'Blackwell';
  readonly source: SourceName;
  readonly cores: Figure;
  readonly megahertz: Figure;
  /** Dense FP16 at the highest clock; absent on Ampere, where it follows from cores and clock. */
  readonly teraflops?: Figure;
  readonly gigabytes: number;
  /** What the operating system reported. */
  readonly usableMegabytes?: number;
  readonly gigabytesPerSecond: number;
  /** The file that defines the modes. */
  readonly nvpmodel?: {
    readonly device: 'quill' | 'galen' | 'concord';
    readonly file: string;
    readonly verified: boolean;
  };
  /** The default mode first. */
  readonly modes: readonly ModeRow[];
}

/** Smallest board first. */
export const boardTable: readonly BoardRow[] = [
  {
    id: 'nano',
    name: 'Jetson Nano 4GB',
    architecture: 'Maxwell',
    source: 'quoted',
    cores: 128,
    megahertz: 921,
    teraflops: 0.472,
    gigabytes: 4,
    usableMegabytes: 3964,
    gigabytesPerSecond: 25.6,
    modes: [
      ['MAXN', 10, 128],
      ['5W', 5, 128, 640],
    ],
  },
  {
    id: 'tx2',
    name: 'Jetson TX2 8GB',
    architecture: 'Pascal',
    source: 'quoted',
    cores: 256,
    megahertz: 1300,
    teraflops: [1.33, 'hardwarePage'],
    gigabytes: 8,
    usableMegabytes: 7852,
    gigabytesPerSecond: 59.7,
    nvpmodel: { device: 'quill', file: 't186', verified: true },
    modes: [
      ['MAXP_CORE_ALL', 15, 256, 1120],
      ['MAXQ', 7.5, 256, 850],
      ['MAXN', undefined, 256],
    ],
  },
  {
    id: 'xavier-nx-8',
    name: 'Jetson Xavier NX 8GB',
    architecture: 'Volta',
    source: 'quoted',
    cores: 384,
    megahertz: 1100,
    teraflops: 6.8,
    gigabytes: 8,
    usableMegabytes: 6851,
    gigabytesPerSecond: 59.7,
    nvpmodel: { device: 'galen', file: 't194_p3668', verified: true },
    modes: [
      ['MODE_15W_6CORE', 15, 384],
      ['MODE_10W_4CORE', 10, 384, 803.25],
      ['MODE_20W_6CORE', 20, 384],
    ],
  },
  {
    id: 'xavier-nx-16',
    name: 'Jetson Xavier NX 16GB',
    architecture: 'Volta',
    source: 'quoted',
    cores: 384,
    megahertz: 1100,
    teraflops: 6.8,
    gigabytes: 16,
    gigabytesPerSecond: 59.7,
    nvpmodel: { device: 'galen', file: 't194_p3668', verified: true },
    modes: [
      ['MODE_15W_6CORE', 15, 384],
      ['MODE_10W_4CORE', 10, 384, 803.25],
      ['MODE_20W_6CORE', 20, 384],
    ],
  },
  {
    id: 'agx-xavier-32',
    name: 'Jetson AGX Xavier 32GB',
    architecture: 'Volta',
    source: 'quoted',
    cores: 512,
    megahertz: 1377,
    teraflops: 11,
    gigabytes: 32,
    usableMegabytes: 31927,
    gigabytesPerSecond: 136.5,
    nvpmodel: { device: 'galen', file: 't194', verified: true },
    modes: [
      ['MODE_15W', 15, 512, 670],
      ['MODE_10W', 10, 256, 520],
      ['MODE_30W_ALL', 30, 512, 900],
      ['MAXN', undefined, 512],
    ],
  },
  {
    id: 'agx-xavier-64',
    name: 'Jetson AGX Xavier 64GB',
    architecture: 'Volta',
    source: 'quoted',
    cores: 512,
    megahertz: 1377,
    teraflops: 11,
    gigabytes: 64,
    gigabytesPerSecond: 136.5,
    nvpmodel: { device: 'galen', file: 't194', verified: true },
    modes: [
      ['MODE_15W', 15, 512, 670],
      ['MODE_10W', 10, 256, 520],
      ['MODE_30W_ALL', 30, 512, 900],
      ['MAXN', undefined, 512],
    ],
  },
  {
    id: 'orin-nano-4',
    name: 'Jetson Orin Nano 4GB',
    architecture: 'Ampere',
    source: 'orinNanoSheet',
    cores: 512,
    megahertz: 625,
    gigabytes: 4,
    gigabytesPerSecond: 34,
    nvpmodel: { device: 'concord', file: 'p3767_0004', verified: true },
    modes: [
      ['10W', 10, 512],
      ['7W_AI', 7, 512, 408],
      ['7W_CPU', 7, 512, 306],
    ],
  },
  {
    id: 'orin-nano-8',
    name: 'Jetson Orin Nano 8GB',
    architecture: 'Ampere',
    source: 'orinNanoSheet',
    cores: 1024,
    megahertz: 625,
    gigabytes: 8,
    usableMegabytes: 7620,
    gigabytesPerSecond: 68,
    nvpmodel: { device: 'concord', file: 'p3767_0003', verified: true },
    modes: [
      ['15W', 15, 1024],
      ['7W', 7, 512, 408],
    ],
  },
  {
    id: 'orin-nano-8-super',
    name: 'Jetson Orin Nano 8GB Super',
    architecture: 'Ampere',
    source: 'orinNanoSheet',
    cores: 1024,
    megahertz: [1020, 'superPages'],
    gigabytes: 8,
    usableMegabytes: 7620,
    gigabytesPerSecond: 102,
    nvpmodel: { device: 'concord', file: 'p3767_0003_super', verified: true },
    modes: [
      ['25W', 25, 1024, 918],
      ['15W', 15, 1024, 612],
      ['MAXN_SUPER', undefined, 1024],
    ],
  },
  {
    id: 'orin-nx-8',
    name: 'Jetson Orin NX 8GB',
    architecture: 'Ampere',
    source: 'orinNxSheet',
    cores: 1024,
    megahertz: 765,
    gigabytes: 8,
    gigabytesPerSecond: 102,
    nvpmodel: { device: 'concord', file: 'p3767_0001', verified: true },
    modes: [
      ['15W', 15, 512, 612],
      ['10W', 10, 512, 612],
      ['20W', 20, 1024, 408],
      ['MAXN', undefined, 1024],
    ],
  },
  {
    id: 'orin-nx-8-super',
    name: 'Jetson Orin NX 8GB Super',
    architecture: 'Ampere',
    source: 'orinNxSheet',
    cores: 1024,
    megahertz: [1173, 'nvpmodel'],
    gigabytes: 8,
    gigabytesPerSecond: 102,
    nvpmodel: { device: 'concord', file: 'p3767_0001_super', verified: true },
    modes: [
      ['40W', 40, 1024, 1173],
      ['10W', 10, 512, 612],
      ['15W', 15, 512, 612],
      ['20W', 20, 1024, 408],
    ],
  },
  {
    id: 'orin-nx-16',
    name: 'Jetson Orin NX 16GB',
    architecture: 'Ampere',
    source: 'orinNxSheet',
    cores: 1024,
    megahertz: 918,
    gigabytes: 16,
    usableMegabytes: 15388,
    gigabytesPerSecond: 102,
    nvpmodel: { device: 'concord', file: 'p3767_0000', verified: true },
    modes: [
      ['15W', 15, 512, 612],
      ['10W', 10, 512, 612],
      ['25W', 25, 1024, 408],
      ['MAXN', undefined, 1024],
    ],
  },
  {
    id: 'orin-nx-16-super',
    name: 'Jetson Orin NX 16GB Super',
    architecture: 'Ampere',
    source: 'orinNxSheet',
    cores: 1024,
    megahertz: [1173, 'nvpmodel'],
    gigabytes: 16,
    usableMegabytes: 15388,
    gigabytesPerSecond: 102,
    nvpmodel: { device: 'concord', file: 'p3767_0000_super', verified: true },
    modes: [
      ['40W', 40, 1024, 1173],
      ['10W', 10, 512, 612],
      ['15W', 15, 512, 612],
      ['25W', 25, 1024, 408],
    ],
  },
  {
    id: 'agx-orin-32',
    name: 'Jetson AGX Orin 32GB',
    architecture: 'Ampere',
    source: 'agxOrinSheet',
    cores: 1792,
    megahertz: 939,
    gigabytes: 32,
    usableMegabytes: 30623,
    gigabytesPerSecond: 204.8,
    nvpmodel: { device: 'concord', file: 'p3701_0004', verified: true },
    modes: [
      ['MODE_30W', 30, 1024, 612],
      ['MODE_15W', 15, 768, 408],
      ['MODE_40W', 40, 1792, 816],
      ['MAXN', undefined, 1792],
    ],
  },
  {
    id: 'agx-orin-64',
    name: 'Jetson AGX Orin 64GB',
    architecture: 'Ampere',
    source: 'agxOrinSheet',
    cores: 2048,
    megahertz: 1300,
    gigabytes: 64,
    usableMegabytes: 62795,
    gigabytesPerSecond: 204.8,
    // The file of another module with the same GPU; this module is p3701-0005.
    nvpmodel: { device: 'concord', file: 'p3701_0000', verified: false },
    modes: [
      ['MODE_30W', 30, 1024, 612],
      ['MODE_15W', 15, 768, 408],
      ['MODE_50W', 50, 2048, 816],
      ['MAXN', 60, 2048],
    ],
  },
  {
    id: 'thor-t4000',
    name: 'Jetson Thor T4000',
    architecture: 'Blackwell',
    source: 'quoted',
    cores: 1536,
    megahertz: 1575,
    teraflops: 150,
    gigabytes: 64,
    gigabytesPerSecond: 273,
    modes: [['MAXN', 75, 1536]],
  },
  {
    id: 'thor-t5000',
    name: 'Jetson Thor T5000',
    architecture: 'Blackwell',
    source: 'quoted',
    cores: [2560, 'thorCores'],
    megahertz: [1574, 'thorClock'],
    teraflops: [258.5, 'hardwarePage'],
    gigabytes: 128,
    usableMegabytes: 125749,
    gigabytesPerSecond: 273,
    modes: [['MAXN', 130, 2560]],
  },
];
