import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { checkInput, type MeasuredCluster, mergeClusters, plan, type Workload } from '@contextlora/scheduler';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { type Outcome, runCommand, type RunOptions } from './run-command.js';

const tinyModel = join(
  dirname(createRequire(import.meta.url).resolve('@contextlora/model/package.json')),
  'test/fixtures/llama-tiny',
);
const runWith = async (environment: NonNullable<RunOptions['environment']>, ...args: readonly string[]) => {
  const { code, out, err } = await runCommand(['profile', ...args], { environment });
  return { status: code, stdout: out, stderr: err };
};
const run = (...args: readonly string[]) => runWith(process.env, ...args);

const escaped = (text: string) => text.replace(/[[\]():.]/g, '\\$&');

/** The files of a board that a line of samples needs. */
const files: Record<string, string> = {
  'proc/meminfo': 'MemTotal: 7802880 kB\nMemAvailable: 1469440 kB\n',
  'proc/stat': 'cpu0 1 0 1 1 0 0 0 0\n',
  'proc/device-tree/model': 'NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\0',
  'proc/device-tree/compatible': 'nvidia,p3767-0005\0nvidia,tegra234\0',
  'etc/nvpmodel.conf': '< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n',
  'var/lib/nvpmodel/status': 'pmode:0002 fmode:quiet\n',
  'sys/devices/platform/gpu.0/load': '630\n',
  'sys/class/devfreq/17000000.gpu/cur_freq': '621000000\n',
  'sys/class/thermal/thermal_zone0/type': 'gpu-thermal\n',
  'sys/class/thermal/thermal_zone0/temp': '53343\n',
  'sys/bus/i2c/devices/1-0040/name': 'ina3221\n',
  'sys/bus/i2c/devices/1-0040/hwmon/hwmon1/in1_label': 'VDD_IN\n',
  'sys/bus/i2c/devices/1-0040/hwmon/hwmon1/in1_input': '5000\n',
  'sys/bus/i2c/devices/1-0040/hwmon/hwmon1/curr1_input': '2496\n',
};

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'profile-'));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
});
afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

test('a sample is one line, or one JSON object per line with --json', async () => {
  const line =
    'orin-nano-8-super MAXN_SUPER  CPU – %  GPU 63 % at 621 MHz  RAM 6185/7620 MB  12.5 W (VDD_IN)  53.3 °C (gpu)\n';
  expect(await run('--root', root)).toEqual({ status: 0, stdout: line, stderr: '' });
  const { stdout } = await run('--root', root, '--count', '2', '--interval', '0.05', '--json');
  const samples = stdout
    .trim()
    .split('\n')
    .map((text) => JSON.parse(text) as { atSeconds: number; load: { gpuPercent: number } });
  expect(samples.map(({ load }) => load.gpuPercent)).toEqual([63, 63]);
  expect(samples[1]!.atSeconds).toBeGreaterThan(samples[0]!.atSeconds);
});

test('published boards are printed as figures with sources, or as a cluster for plan', async () => {
  const profile = JSON.parse((await run('--board', 'orin-nx-16')).stdout) as {
    gpu: { cores: { value: number; source: string } };
  };
  expect(profile.gpu.cores).toMatchObject({ value: 1024, source: expect.stringContaining('DS-10712-001') });
  const cluster = JSON.parse((await run('--cluster', 'nano, tx2', '--mbit', '40')).stdout) as {
    devices: { id: string }[];
    links: unknown[];
  };
  expect(cluster.devices.map(({ id }) => id)).toEqual(['nano', 'tx2']);
  expect(cluster.links).toEqual([
    { from: '*', to: '*', bytesPerSecond: 5e6, latencySeconds: 0.003, medium: 'wifi' },
  ]);
});

test('layers of a model are measured by kind of work', async () => {
  const out = await run('--measure', tinyModel, '--tokens', '16', '--budget', '0.2');
  expect(out.stderr).toBe('');
  const measured = JSON.parse(out.stdout) as Record<
    'forward' | 'input' | 'weight',
    { flopsPerSecond: number }
  >;
  for (const kind of ['forward', 'input', 'weight'] as const)
    expect(measured[kind].flopsPerSecond).toBeGreaterThan(0);
});

test('mistakes are explained in one message, with exit code 2', async () => {
  const unknown = await run('--board', 'orin-nano-9');
  expect([unknown.status, unknown.stdout.trim()]).toEqual([2, '']);
  expect(unknown.stderr).toMatch(
    /^jetson\/publishedProfile: there is no board "orin-nano-9"; boards are nano, .*\n$/,
  );
  expect(await run('--root', join(root, 'nowhere'))).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/^cli\/profile: there is nothing to read below /),
  });
  expect(await run('--interval', '0')).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('above 0'),
  });
  for (const [args, message] of [
    [
      ['--board', 'nano', '--cluster', 'nano'],
      '--board and --cluster ask for different things; give only one of them',
    ],
    [['--out', 'x.json'], 'ask for something with --measure MODEL or --link HOST'],
    [['--link', '127.0.0.1:1', '--budget', '1'], '127.0.0.1:1 refused the connection'],
  ] as const)
    expect(await run(...args)).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(new RegExp(`^(cli|jetson)/\\w+: [^\n]*${escaped(message)}[^\n]*\n$`)),
    });
});

test('rates of a base in integers say so', async () => {
  const file = join(root, 'integers.json');
  const { status } = await run(
    ...['--measure', tinyModel, '--base', 'w8a8', '--tokens', '16', '--budget', '0.2', '--out', file],
  );
  expect(status).toBe(0);
  const { devices } = JSON.parse(readFileSync(file, 'utf8')) as MeasuredCluster;
  expect(devices.map(({ base }) => base)).toEqual(['w8a8']);
  expect((await run('--base', 'w8a8')).stderr).toContain('name it with --measure MODEL');
});

test('measurements of machine and links go into one file, which plan accepts', async () => {
  const file = join(root, 'cluster.json');
  const measured = await run(
    ...['--measure', tinyModel, '--tokens', '16', '--budget', '0.2', '--sustained', '1.2'],
    ...['--id', 'laptop', '--out', file],
  );
  expect(measured.stderr).toBe('');
  expect(measured.stdout).toMatch(/^laptop: forward [\d.e+]+ GFLOP\/s, [^]*keeps [\d.]+ % of its rate/);
  let stopListening: (() => void) | undefined;
  let listening: Promise<Outcome> | undefined;
  const port = await new Promise<string>((resolve) => {
    listening = runCommand(['profile', '--listen', '0', '--id', 'orin'], {
      onOutput(out, interrupt) {
        stopListening = interrupt;
        resolve(/--link ADDRESS:(\d+)/.exec(out)?.[1] ?? '');
      },
    });
  });
  const linked = await run('--link', `127.0.0.1:${port}`, '--budget', '0.5', '--id', 'laptop', '--out', file);
  stopListening?.();
  expect(linked).toMatchObject({ status: 0, stderr: '', stdout: expect.stringContaining('link to orin: ') });
  expect((await listening)?.code).toBe(130);

  const cluster = JSON.parse(readFileSync(file, 'utf8')) as Required<MeasuredCluster>;
  expect(cluster.devices).toEqual([
    {
      id: 'laptop',
      flopsPerSecond: { forward: expect.any(Number), input: expect.any(Number), weight: expect.any(Number) },
      memoryBytes: expect.any(Number),
      overheadSeconds: expect.any(Number),
      sustainedShare: expect.any(Number),
    },
  ]);
  expect(cluster.links.map(({ from, to }) => [from, to])).toEqual([
    ['laptop', 'orin'],
    ['orin', 'laptop'],
  ]);
  expect(cluster.measured.map(({ of }) => of)).toEqual(['device', 'links']);
  // Nothing is known of orin yet, so the planner gets one device and no link.
  const merged = mergeClusters([{ path: file, cluster }]);
  expect(merged).toEqual({ cluster: { devices: cluster.devices, links: [] }, unknownPeers: ['orin'] });
  checkInput([workload], merged.cluster);
  expect(plan([workload], merged.cluster).totalSeconds).toBeGreaterThan(0);
}, 60_000);

const workload: Workload = {
  name: 'task',
  samples: 1,
  layers: [
    {
      name: 'layer',
      forwardFlops: 1e9,
      inputFlops: 0,
      weightFlops: 1e9,
      parameterBytes: 1,
      gradientBytes: 1,
      optimizerBytes: 1,
      activationBytes: 1,
      outputBytes: 1,
    },
  ],
};

test('tegrastats provides samples on machines that have it', async () => {
  const bin = join(root, 'bin');
  mkdirSync(bin);
  const line =
    'RAM 3276/7620MB (lfb 5x4MB) CPU [44%@1421,off] EMC_FREQ 1%@1866 GR3D_FREQ 7%@[621] gpu@39.5C VDD_IN 5297mW/5297mW';
  writeFileSync(join(bin, 'tegrastats'), `#!/bin/sh\nwhile echo '${line}'; do sleep 0.05; done\n`, {
    mode: 0o755,
  });
  const asked = ['--source', 'tegrastats', '--root', root, '--count', '2', '--interval', '0.05'];
  const { status, stdout, stderr } = await runWith({ PATH: `${bin}:${process.env['PATH'] ?? ''}` }, ...asked);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const line2 =
    'orin-nano-8-super MAXN_SUPER  CPU 44 %  GPU 7 % at 621 MHz  RAM 3276/7620 MB  5.3 W (VDD_IN)  39.5 °C (gpu)\n';
  expect(stdout).toBe(line2.repeat(2));
  expect(await run(...asked)).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/^cli\/profile: tegrastats cannot be started [^\n]*\n$/),
  });
});
