import { mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, test } from '@jest/globals';
import {
  type CommandRunner,
  type DeviceSample,
  type FileTree,
  openFileTree,
  parseNvpmodelModes,
  readPowerRails,
  type RecordedFile,
  recordedFileTree,
  sampleDevice,
  totalPower,
  watchDevice,
} from '@contextlora/jetson';

const filesOf = (name: string) =>
  JSON.parse(readFileSync(new URL(`fixtures/boards/${name}.json`, import.meta.url), 'utf8')) as Record<
    string,
    RecordedFile
  >;

/** A clock that moves only during sleep. */
function fakeTime() {
  let now = 100;
  return {
    clock: () => now,
    sleep: (seconds: number) => {
      now += seconds;
      return Promise.resolve();
    },
  };
}

const sample = (files: Record<string, RecordedFile>, run?: CommandRunner) =>
  sampleDevice(recordedFileTree(files), { ...fakeTime(), ...(run && { run }) });

const brief = ({ board, load, memory, power, temperatures, clocks, missing }: DeviceSample) => ({
  profile: board.profile,
  soc: board.soc,
  release: board.l4tRelease,
  jetPack: board.jetPack,
  mode: board.powerMode?.name,
  gpuPercent: load.gpuPercent,
  totalMegabytes: memory && memory.totalBytes / 2 ** 20,
  rails: power.rails.length,
  milliwatts: power.total && Math.round(power.total.watts * 1000),
  from: power.total?.from,
  sensors: temperatures.length,
  gpuMegahertz: clocks.gpuHertz === undefined ? undefined : clocks.gpuHertz / 1e6,
  cores: clocks.cores.length,
  missing: missing.map(({ what }) => what),
});

describe('one sample of each board', () => {
  test('a Nano of JetPack 4 reads its rails through iio', async () => {
    expect(brief(await sample(filesOf('nano')))).toEqual({
      profile: 'nano',
      soc: 'tegra210',
      release: 'R32.7.1',
      jetPack: 4,
      mode: 'MAXN',
      gpuPercent: 7,
      totalMegabytes: 3964,
      rails: 3,
      milliwatts: 2746,
      from: 'POM_5V_IN',
      sensors: 6,
      gpuMegahertz: 768,
      cores: 4,
      missing: ['memory clock'],
    });
  });

  test('a Xavier NX whose power mode cannot be read says so, and asks nvpmodel if it may', async () => {
    expect(brief(await sample(filesOf('xavier-nx')))).toEqual({
      profile: 'xavier-nx-8',
      soc: 'tegra194',
      release: 'R35.4.1',
      jetPack: 5,
      mode: undefined,
      gpuPercent: 0,
      totalMegabytes: 6851,
      rails: 3,
      milliwatts: 2760,
      from: 'VDD_IN',
      sensors: 3,
      gpuMegahertz: 114.75,
      cores: 6,
      missing: ['power mode', 'memory clock'],
    });
    const withNvpmodel = await sample(filesOf('xavier-nx'), (command) =>
      Promise.resolve(command === 'nvpmodel' ? 'NV Power Mode: MODE_15W_6CORE\n2\n' : undefined),
    );
    expect(withNvpmodel.board.powerMode).toEqual({ id: 2, name: 'MODE_15W_6CORE' });
  });

  test('an Orin Nano Super names its mode, since id 2 is MAXN_SUPER there', async () => {
    expect(brief(await sample(filesOf('orin-nano-super')))).toEqual({
      profile: 'orin-nano-8-super',
      soc: 'tegra234',
      release: 'R36.4.4',
      jetPack: 6,
      mode: 'MAXN_SUPER',
      gpuPercent: 63,
      totalMegabytes: 7620,
      rails: 3,
      milliwatts: 12480,
      from: 'VDD_IN',
      sensors: 4,
      gpuMegahertz: 621,
      cores: 6,
      missing: ['memory clock'],
    });
  });

  test('an Orin NX with half its cores off has the clocks of the others', async () => {
    expect(brief(await sample(filesOf('orin-nx')))).toMatchObject({
      profile: 'orin-nx-16',
      mode: '15W',
      milliwatts: 5300,
      gpuMegahertz: 611,
      cores: 4,
    });
  });

  test('an AGX Orin read as root sums its rails, leaves out sensors that are off and lacks nothing', async () => {
    const taken = await sample(filesOf('agx-orin'));
    expect(brief(taken)).toMatchObject({
      profile: 'agx-orin-64',
      mode: 'MAXN',
      rails: 4,
      milliwatts: 6830,
      from: 'sum',
      sensors: 2,
      cores: 12,
      missing: [],
    });
    expect(taken.clocks.memoryHertz).toBe(2_133_000_000);
    // cpu2 before cpu10.
    expect(taken.clocks.cores.map(({ core }) => core)).toEqual(Array.from({ length: 12 }, (_, i) => i));
  });

  test('takes an unlabelled INA238 beside INA3221 rails for the input, and nothing else', async () => {
    const label = '/sys/class/hwmon/hwmon5/power1_label';
    const bare = Object.fromEntries(Object.entries(filesOf('thor')).filter(([path]) => path !== label));
    const at = (files: Parameters<typeof recordedFileTree>[0]) => readPowerRails(recordedFileTree(files));
    const labelled = await at(filesOf('thor'));
    expect(await at(bare)).toEqual(labelled);
    expect(totalPower(await at(bare))).toEqual({ watts: 124.486, from: 'VIN' });
    const chip = '/sys/class/hwmon/hwmon5/name';
    expect(await at({ ...bare, [chip]: 'ina237\n' })).toEqual(labelled);
    // Another kind of chip, or a second one, is not known to measure the input.
    expect(totalPower(await at({ ...bare, [chip]: 'amdgpu\n' }))?.from).toBe('sum');
    const second = {
      '/sys/class/hwmon/hwmon6/name': 'ina238\n',
      '/sys/class/hwmon/hwmon6/power1_input': '5000000\n',
    };
    expect((await at({ ...bare, ...second })).filter(({ rail }) => rail.startsWith('ina238'))).toHaveLength(
      2,
    );
    expect(await at({ ...second })).toEqual([{ rail: 'ina238 1', watts: 5 }]);
  });

  test('a Thor has no load file, so its load comes from nvidia-smi or is unknown, never 0', async () => {
    const alone = await sample(filesOf('thor'));
    expect(brief(alone)).toMatchObject({
      profile: 'thor-t5000',
      jetPack: 7,
      milliwatts: 124486,
      from: 'VIN',
      gpuMegahertz: 1574,
      cores: 14,
    });
    expect(alone.load).not.toHaveProperty('gpuPercent');
    expect((await sample(filesOf('thor'), () => Promise.resolve('97\n'))).load.gpuPercent).toBe(97);
    const unsupported = await sample(filesOf('thor'), () => Promise.resolve('[N/A]\n'));
    expect(unsupported.load).not.toHaveProperty('gpuPercent');
  });

  test('any Linux machine has memory, clocks and temperatures, but RAPL needs more rights', async () => {
    const taken = await sample(filesOf('linux-pc'));
    expect(brief(taken)).toEqual({
      profile: undefined,
      soc: undefined,
      release: undefined,
      jetPack: undefined,
      mode: undefined,
      gpuPercent: undefined,
      totalMegabytes: 15900,
      rails: 0,
      milliwatts: undefined,
      from: undefined,
      sensors: 1,
      gpuMegahertz: undefined,
      cores: 4,
      missing: ['processor power (RAPL)'],
    });
    expect(taken.board.model).toBe('Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz');
    expect(taken.temperatures).toEqual([{ sensor: 'coretemp Package id 0', celsius: 47 }]);
  });
});

test('a machine without a single file gives an empty sample', async () => {
  expect(await sample({})).toEqual({
    atSeconds: 100.25,
    board: {},
    load: { cores: [] },
    power: { rails: [] },
    temperatures: [],
    clocks: { cores: [] },
    missing: [],
  });
});

test('a machine that denies access to every file gives an empty sample that lists what is missing', async () => {
  const files = filesOf('orin-nano-super');
  const denied = Object.fromEntries(Object.keys(files).map((path) => [path, { denied: true } as const]));
  const taken = await sample(denied);
  expect(taken.load).toEqual({ cores: [] });
  expect(taken.power).toEqual({ rails: [] });
  const kinds = new Set(taken.missing.map(({ what }) => what));
  for (const what of ['power', 'temperature', 'GPU clock', 'GPU load', 'core clocks', 'power mode'])
    expect(kinds).toContain(what);
});

test('rails are found by their driver where the chips have no name', async () => {
  const { power } = await sample({
    '/sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/rail_name_0': 'POM_5V_IN\n',
    '/sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/in_power0_input': '2746\n',
    '/sys/bus/i2c/drivers/ina3221x/bind': '',
  });
  expect(power.rails).toEqual([{ rail: 'POM_5V_IN', watts: 2.746 }]);
});

test('a GPU load file that appears late is found, and an impossible load is unknown', async () => {
  const loads = [undefined, '1000\n', '4294967\n'];
  const samples: DeviceSample[] = [];
  let index = 0;
  const tree: FileTree = {
    ...recordedFileTree({}),
    read: (path) => Promise.resolve(path === '/sys/devices/gpu.0/load' ? loads[index] : undefined),
  };
  for await (const taken of watchDevice(tree, { ...fakeTime(), count: 3 })) {
    samples.push(taken);
    index += 1;
  }
  expect(samples.map(({ load }) => load.gpuPercent)).toEqual([undefined, 100, undefined]);
});

/** A sample of a machine whose files change during its window of two seconds. */
const sampleBetween = (
  before: Record<string, RecordedFile>,
  after: Record<string, RecordedFile>,
): Promise<DeviceSample> => {
  let now = 10;
  let tree = recordedFileTree(before);
  return sampleDevice(
    {
      read: (path) => tree.read(path),
      list: (path) => tree.list(path),
      denied: () => tree.denied(),
    },
    {
      clock: () => now,
      sleep: (seconds) => {
        now += seconds;
        tree = recordedFileTree(after);
        return Promise.resolve();
      },
      windowSeconds: 2,
    },
  );
};

test('the load of a core is its share of busy ticks since the last reading, if there is one', async () => {
  const { load } = await sampleBetween(
    { '/proc/stat': 'cpu0 100 0 0 900 0 0 0 0\ncpu2 5 0 0 5 0 0 0 0\n' },
    {
      '/proc/stat':
        'cpu0 150 0 0 1050 0 0 0 0\ncpu1 5 0 0 5 0 0 0 0\ncpu2 5 0 0 5 0 0 0 0\ncpu10 9 0 0 9 0 0 0 0\n',
    },
  );
  expect(load).toEqual({ cpuPercent: 25, cores: [{ core: 0, loadPercent: 25 }] });
});

test('waiting for a disk is not load, and guest time counts once', async () => {
  const { load } = await sampleBetween(
    { '/proc/stat': 'cpu  9 9 9 9 9 9 9 9\ncpu3 0 0 0 0 0 0 0 0 0 0\n' },
    { '/proc/stat': 'cpu  9 9 9 9 9 9 9 9\ncpu3 100 20 30 800 50 6 4 0 70 0\n' },
  );
  expect(load.cores).toEqual([{ core: 3, loadPercent: (100 * 160) / 1010 }]);
});

test('energy counters give mean powers across a restart, without subdomains and with psys as the total', async () => {
  const files = (packageJoules: number, psysJoules: number) => ({
    '/sys/class/powercap/intel-rapl:0/name': 'package-0\n',
    '/sys/class/powercap/intel-rapl:0/energy_uj': `${packageJoules * 1e6}\n`,
    '/sys/class/powercap/intel-rapl:0/max_energy_range_uj': '100000000\n',
    '/sys/class/powercap/intel-rapl:0:0/name': 'core\n',
    '/sys/class/powercap/intel-rapl:0:0/energy_uj': `${packageJoules * 1e6}\n`,
    '/sys/class/powercap/intel-rapl:1/name': 'psys\n',
    '/sys/class/powercap/intel-rapl:1/energy_uj': `${psysJoules * 1e6}\n`,
  });
  const { power } = await sampleBetween(files(95, 10), files(5, 34));
  expect(power).toEqual({
    rails: [
      { rail: 'package-0', watts: 5 },
      { rail: 'psys', watts: 12 },
    ],
    total: { watts: 12, from: 'sum' },
  });
});

test('watching takes the given number of samples, one interval apart, with the load of each interval', async () => {
  const files = filesOf('orin-nano-super');
  let reads = 0;
  const recorded = recordedFileTree(files);
  const tree: FileTree = {
    ...recorded,
    read(path) {
      if (path !== '/proc/stat') return recorded.read(path);
      reads += 1;
      // Busy 10, 20, 30 … of each 100 ticks.
      const busy = 5 * reads * (reads + 1);
      return Promise.resolve(`cpu0 ${busy} 0 0 ${reads * 100 - busy} 0 0 0 0\n`);
    },
  };
  const samples: DeviceSample[] = [];
  for await (const taken of watchDevice(tree, { ...fakeTime(), intervalSeconds: 2, count: 3 }))
    samples.push(taken);
  expect(samples.map(({ atSeconds }) => atSeconds)).toEqual([100.25, 102.25, 104.25]);
  expect(samples.map(({ load }) => load.cpuPercent)).toEqual([20, 30, 40]);
});

test('watching skips samples while a machine is too slow, and does not catch up', async () => {
  const { clock, sleep } = fakeTime();
  const recorded = recordedFileTree({});
  let reads = 0;
  const tree: FileTree = {
    ...recorded,
    async read(path) {
      if (path === '/proc/stat' && ++reads === 3) await sleep(10);
      return recorded.read(path);
    },
  };
  const times: number[] = [];
  for await (const { atSeconds } of watchDevice(tree, { clock, sleep, count: 5 })) times.push(atSeconds);
  expect(times.map((time) => time - 100)).toEqual([0.25, 1.25, 11.25, 12.25, 13.25]);
});

test('an nvpmodel configuration gives modes by id, with cores, clock limits and the default', () => {
  const text = filesOf('orin-nano-super')['/etc/nvpmodel.conf'] as string;
  expect(parseNvpmodelModes(text)).toEqual([
    { id: 0, name: '15W', isDefault: false, onlineCores: 6, gpuMaxHertz: 612e6 },
    { id: 1, name: '25W', isDefault: true, onlineCores: 6, gpuMaxHertz: 918e6 },
    { id: 2, name: 'MAXN_SUPER', isDefault: false, onlineCores: 6 },
  ]);
  expect(parseNvpmodelModes('not a configuration')).toEqual([]);
});

test('files of a real directory are read below its root', async () => {
  const root = mkdtempSync(join(tmpdir(), 'jetson-'));
  try {
    mkdirSync(join(root, 'proc'));
    writeFileSync(join(root, 'proc/meminfo'), 'MemTotal: 1024 kB\nMemAvailable: 512 kB\n');
    const taken = await sampleDevice(openFileTree(root), fakeTime());
    expect(taken.memory).toEqual({
      totalBytes: 2 ** 20,
      availableBytes: 2 ** 19,
      swapTotalBytes: 0,
      swapUsedBytes: 0,
    });
    expect(await openFileTree(root).list('/nowhere')).toEqual([]);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
