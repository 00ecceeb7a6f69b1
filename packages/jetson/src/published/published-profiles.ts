/**
 * Jetson boards as published. Nothing here was measured: schedule with measured rates where you have them.
 *
 * FP32 peak = cores × 2 × clock; dense FP16 on tensor cores is 8 times that (Volta, Ampere), without tensor cores twice.
 */

/** A figure, where it is from, and whether it was read there (`verified`), or is from a quotation of it or only commonly quoted. */
export interface PublishedNumber {
  readonly value: number;
  readonly source: string;
  readonly verified: boolean;
}

/** A mode of nvpmodel. */
export interface PublishedMode {
  readonly name: string;
  readonly isDefault: boolean;
  /** The mode's budget; missing for modes without one. */
  readonly watts?: PublishedNumber;
  readonly gpuMegahertz: PublishedNumber;
  /** GPU cores that the mode leaves on. */
  readonly gpuCores: PublishedNumber;
}

export interface PublishedProfile {
  readonly id: string;
  readonly name: string;
  readonly gpu: {
    readonly architecture: 'Maxwell' | 'Pascal' | 'Volta' | 'Ampere' | 'Blackwell';
    readonly cores: PublishedNumber;
    readonly megahertz: PublishedNumber;
    /** Dense, at the highest clock. */
    readonly fp16FlopsPerSecond: PublishedNumber;
  };
  readonly memoryBytes: PublishedNumber;
  /** What the operating system has of it. */
  readonly usableMemoryBytes?: PublishedNumber;
  readonly memoryBytesPerSecond: PublishedNumber;
  readonly modes: readonly PublishedMode[];
}

type Figure = (value: number) => PublishedNumber;
const from =
  (source: string, verified: boolean): Figure =>
  (value) => ({ value, source, verified });

const quoted = from("NVIDIA's published figures, as commonly quoted", false);
const orinNanoSheet = from('NVIDIA data sheet DS-11105-001 (Orin Nano), as quoted', false);
const orinNxSheet = from('NVIDIA data sheet DS-10712-001 (Orin NX), as quoted', false);
const agxOrinSheet = from('NVIDIA data sheet DS-10662-001 v1.8 (AGX Orin), as quoted', false);
const superPages = from("NVIDIA's product pages of the Super boards, as quoted", false);
const hardwarePage = from('https://huggingface.co/hardware', true);
const thorCores = from(
  'https://forums.developer.nvidia.com/t/clarification-on-cuda-core-and-tensor-core-counts-for-jetson-agx-thor/356355',
  true,
);
const thorClock = from('clock in a tegrastats line of such a board (test/fixtures)', true);
const reported = from('total in a tegrastats line of such a board (test/fixtures)', true);
const nvpmodel = (device: string, file: string, verified = true): Figure =>
  from(`nvpmodel_${file}.conf in https://github.com/LineageOS/android_device_nvidia_${device}`, verified);

const gigabytes = 2 ** 30;
const megabytes = 2 ** 20;

/** [name, watts, cores, MHz]; the default first. Without watts the mode has no budget, without MHz no limit of the clock. */
type ModeRow = readonly [string, number | undefined, number, number?];
const modesOf = (figure: Figure, highest: PublishedNumber, rows: readonly ModeRow[]): PublishedMode[] =>
  rows.map(([name, watts, cores, megahertz], index) => ({
    name,
    isDefault: index === 0,
    // Only a budget that the mode's name tells is in the file.
    ...(watts !== undefined && { watts: (name.includes(`${watts}W`) ? figure : quoted)(watts) }),
    gpuMegahertz: megahertz === undefined ? highest : figure(megahertz),
    gpuCores: figure(cores),
  }));

const orin = (
  id: string,
  name: string,
  sheet: Figure,
  clock: PublishedNumber,
  {
    cores,
    gigabytes: memory,
    usableMegabytes,
    gigabytesPerSecond,
  }: {
    readonly cores: number;
    readonly gigabytes: number;
    readonly usableMegabytes?: number;
    readonly gigabytesPerSecond: number;
  },
  [file, rows, verified]: readonly [string, readonly ModeRow[], boolean?],
): PublishedProfile => ({
  id,
  name,
  gpu: {
    architecture: 'Ampere',
    cores: sheet(cores),
    megahertz: clock,
    // 8 × FP32
    fp16FlopsPerSecond: from(
      `8 × 2 × cores × clock; clock: ${clock.source}`,
      clock.verified,
    )(8 * 2 * cores * clock.value * 1e6),
  },
  memoryBytes: sheet(memory * gigabytes),
  ...(usableMegabytes !== undefined && { usableMemoryBytes: reported(usableMegabytes * megabytes) }),
  memoryBytesPerSecond: sheet(gigabytesPerSecond * 1e9),
  modes: modesOf(nvpmodel('concord', file, verified), clock, rows),
});

const xavier = (
  id: string,
  name: string,
  {
    cores,
    megahertz,
    teraflops,
    gigabytes: memory,
    usableMegabytes,
    gigabytesPerSecond,
  }: {
    readonly cores: number;
    readonly megahertz: number;
    readonly teraflops: number;
    readonly gigabytes: number;
    readonly usableMegabytes?: number;
    readonly gigabytesPerSecond: number;
  },
  [file, rows]: readonly [string, readonly ModeRow[]],
): PublishedProfile => ({
  id,
  name,
  gpu: {
    architecture: 'Volta',
    cores: quoted(cores),
    megahertz: quoted(megahertz),
    fp16FlopsPerSecond: quoted(teraflops * 1e12),
  },
  memoryBytes: quoted(memory * gigabytes),
  ...(usableMegabytes !== undefined && { usableMemoryBytes: reported(usableMegabytes * megabytes) }),
  memoryBytesPerSecond: quoted(gigabytesPerSecond * 1e9),
  modes: modesOf(nvpmodel('galen', file), quoted(megahertz), rows),
});

const xavierNx = { cores: 384, megahertz: 1100, teraflops: 6.8, gigabytesPerSecond: 59.7 };
const xavierNxModes = [
  't194_p3668',
  [
    ['MODE_15W_6CORE', 15, 384],
    ['MODE_10W_4CORE', 10, 384, 803.25],
    ['MODE_20W_6CORE', 20, 384],
  ],
] as const;
const agxXavier = { cores: 512, megahertz: 1377, teraflops: 11, gigabytesPerSecond: 136.5 };
const agxXavierModes = [
  't194',
  [
    ['MODE_15W', 15, 512, 670],
    ['MODE_10W', 10, 256, 520],
    ['MODE_30W_ALL', 30, 512, 900],
    ['MAXN', undefined, 512],
  ],
] as const;

/** The Jetson family, smallest first. */
export const publishedProfiles: readonly PublishedProfile[] = [
  {
    id: 'nano',
    name: 'Jetson Nano 4GB',
    gpu: {
      architecture: 'Maxwell',
      cores: quoted(128),
      megahertz: quoted(921),
      fp16FlopsPerSecond: quoted(0.472e12),
    },
    memoryBytes: quoted(4 * gigabytes),
    usableMemoryBytes: reported(3964 * megabytes),
    memoryBytesPerSecond: quoted(25.6e9),
    modes: modesOf(quoted, quoted(921), [
      ['MAXN', 10, 128],
      ['5W', 5, 128, 640],
    ]),
  },
  {
    id: 'tx2',
    name: 'Jetson TX2 8GB',
    gpu: {
      architecture: 'Pascal',
      cores: quoted(256),
      megahertz: quoted(1300),
      fp16FlopsPerSecond: hardwarePage(1.33e12),
    },
    memoryBytes: quoted(8 * gigabytes),
    usableMemoryBytes: reported(7852 * megabytes),
    memoryBytesPerSecond: quoted(59.7e9),
    modes: modesOf(nvpmodel('quill', 't186'), quoted(1300), [
      ['MAXP_CORE_ALL', 15, 256, 1120],
      ['MAXQ', 7.5, 256, 850],
      ['MAXN', undefined, 256],
    ]),
  },
  xavier(
    'xavier-nx-8',
    'Jetson Xavier NX 8GB',
    { ...xavierNx, gigabytes: 8, usableMegabytes: 6851 },
    xavierNxModes,
  ),
  xavier('xavier-nx-16', 'Jetson Xavier NX 16GB', { ...xavierNx, gigabytes: 16 }, xavierNxModes),
  xavier(
    'agx-xavier-32',
    'Jetson AGX Xavier 32GB',
    { ...agxXavier, gigabytes: 32, usableMegabytes: 31927 },
    agxXavierModes,
  ),
  xavier('agx-xavier-64', 'Jetson AGX Xavier 64GB', { ...agxXavier, gigabytes: 64 }, agxXavierModes),
  orin(
    'orin-nano-4',
    'Jetson Orin Nano 4GB',
    orinNanoSheet,
    orinNanoSheet(625),
    { cores: 512, gigabytes: 4, gigabytesPerSecond: 34 },
    [
      'p3767_0004',
      [
        ['10W', 10, 512],
        ['7W_AI', 7, 512, 408],
        ['7W_CPU', 7, 512, 306],
      ],
    ],
  ),
  orin(
    'orin-nano-8',
    'Jetson Orin Nano 8GB',
    orinNanoSheet,
    orinNanoSheet(625),
    { cores: 1024, gigabytes: 8, usableMegabytes: 7620, gigabytesPerSecond: 68 },
    [
      'p3767_0003',
      [
        ['15W', 15, 1024],
        ['7W', 7, 512, 408],
      ],
    ],
  ),
  orin(
    'orin-nano-8-super',
    'Jetson Orin Nano 8GB Super',
    orinNanoSheet,
    superPages(1020),
    { cores: 1024, gigabytes: 8, usableMegabytes: 7620, gigabytesPerSecond: 102 },
    [
      'p3767_0003_super',
      [
        ['25W', 25, 1024, 918],
        ['15W', 15, 1024, 612],
        ['MAXN_SUPER', undefined, 1024],
      ],
    ],
  ),
  orin(
    'orin-nx-8',
    'Jetson Orin NX 8GB',
    orinNxSheet,
    orinNxSheet(765),
    { cores: 1024, gigabytes: 8, gigabytesPerSecond: 102 },
    [
      'p3767_0001',
      [
        ['15W', 15, 512, 612],
        ['10W', 10, 512, 612],
        ['20W', 20, 1024, 408],
        ['MAXN', undefined, 1024],
      ],
    ],
  ),
  orin(
    'orin-nx-8-super',
    'Jetson Orin NX 8GB Super',
    orinNxSheet,
    nvpmodel('concord', 'p3767_0001_super')(1173),
    { cores: 1024, gigabytes: 8, gigabytesPerSecond: 102 },
    [
      'p3767_0001_super',
      [
        ['40W', 40, 1024, 1173],
        ['10W', 10, 512, 612],
        ['15W', 15, 512, 612],
        ['20W', 20, 1024, 408],
      ],
    ],
  ),
  orin(
    'orin-nx-16',
    'Jetson Orin NX 16GB',
    orinNxSheet,
    orinNxSheet(918),
    { cores: 1024, gigabytes: 16, usableMegabytes: 15388, gigabytesPerSecond: 102 },
    [
      'p3767_0000',
      [
        ['15W', 15, 512, 612],
        ['10W', 10, 512, 612],
        ['25W', 25, 1024, 408],
        ['MAXN', undefined, 1024],
      ],
    ],
  ),
  orin(
    'orin-nx-16-super',
    'Jetson Orin NX 16GB Super',
    orinNxSheet,
    nvpmodel('concord', 'p3767_0000_super')(1173),
    { cores: 1024, gigabytes: 16, usableMegabytes: 15388, gigabytesPerSecond: 102 },
    [
      'p3767_0000_super',
      [
        ['40W', 40, 1024, 1173],
        ['10W', 10, 512, 612],
        ['15W', 15, 512, 612],
        ['25W', 25, 1024, 408],
      ],
    ],
  ),
  orin(
    'agx-orin-32',
    'Jetson AGX Orin 32GB',
    agxOrinSheet,
    agxOrinSheet(939),
    { cores: 1792, gigabytes: 32, usableMegabytes: 30623, gigabytesPerSecond: 204.8 },
    [
      'p3701_0004',
      [
        ['MODE_30W', 30, 1024, 612],
        ['MODE_15W', 15, 768, 408],
        ['MODE_40W', 40, 1792, 816],
        ['MAXN', undefined, 1792],
      ],
    ],
  ),
  orin(
    'agx-orin-64',
    'Jetson AGX Orin 64GB',
    agxOrinSheet,
    agxOrinSheet(1300),
    { cores: 2048, gigabytes: 64, usableMegabytes: 62795, gigabytesPerSecond: 204.8 },
    [
      // Of a module with the same GPU; the 64 GB module is p3701-0005.
      'p3701_0000',
      [
        ['MODE_30W', 30, 1024, 612],
        ['MODE_15W', 15, 768, 408],
        ['MODE_50W', 50, 2048, 816],
        ['MAXN', 60, 2048],
      ],
      false,
    ],
  ),
  {
    id: 'thor-t4000',
    name: 'Jetson Thor T4000',
    gpu: {
      architecture: 'Blackwell',
      cores: quoted(1536),
      megahertz: quoted(1575),
      fp16FlopsPerSecond: quoted(150e12),
    },
    memoryBytes: quoted(64 * gigabytes),
    memoryBytesPerSecond: quoted(273e9),
    modes: modesOf(quoted, quoted(1575), [['MAXN', 75, 1536]]),
  },
  {
    id: 'thor-t5000',
    name: 'Jetson Thor T5000',
    gpu: {
      architecture: 'Blackwell',
      cores: thorCores(2560),
      megahertz: thorClock(1574),
      fp16FlopsPerSecond: hardwarePage(258.5e12),
    },
    memoryBytes: quoted(128 * gigabytes),
    usableMemoryBytes: reported(125749 * megabytes),
    memoryBytesPerSecond: quoted(273e9),
    modes: modesOf(quoted, thorClock(1574), [['MAXN', 130, 2560]]),
  },
];
