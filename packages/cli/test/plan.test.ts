import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { type Cluster, plan, type Plan, type Workload } from '@contextlora/scheduler';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import stringWidth from 'string-width';

import { runCommand } from './run-command.js';

const scenario = join(
  dirname(createRequire(import.meta.url).resolve('@contextlora/benchmarks/package.json')),
  'scenarios/iov/tasks.yaml',
);
const cluster: Cluster = {
  devices: [
    { id: 'nano', flopsPerSecond: 1.4e11, memoryBytes: 2e9, watts: 10, idleWatts: 3 },
    { id: 'orin', flopsPerSecond: { forward: 3e12, input: 3e12, weight: 2e12 }, memoryBytes: 4e9, watts: 15 },
  ],
  links: [
    { from: '*', to: '*', bytesPerSecond: 12.5e6, latencySeconds: 0.003, medium: 'wifi' },
    { from: 'nano', to: 'orin', bytesPerSecond: 1e8, latencySeconds: 0.001 },
  ],
};

let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'contextlora-plan-'));
  await writeFile(join(directory, 'cluster.json'), JSON.stringify(cluster));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const run = (...args: readonly string[]) => runCommand(args);
const planArgs = (...more: readonly string[]) => [
  'plan',
  scenario,
  '--model',
  'smollm2-135m',
  '--cluster',
  join(directory, 'cluster.json'),
  '--frozen-prefix',
  ...more,
];

describe('contextlora plan', () => {
  test('says which rates are not those of a base in integers, and takes those that are', async () => {
    const { code, out } = await run(...planArgs('--base', 'w8a8'));
    expect(code).toBe(0);
    expect(out).toContain('nano, orin: the rates are not of products with a base in w8a8');
    const integers = { ...cluster, devices: cluster.devices.map((device) => ({ ...device, base: 'w8a8' })) };
    const path = join(directory, 'integers.json');
    await writeFile(path, JSON.stringify(integers));
    const measured = planArgs().map((arg) => (arg.endsWith('cluster.json') ? path : arg));
    expect((await run(...measured, '--base', 'w8a8')).out).not.toContain('the rates are not of');
    expect((await run(...measured)).out).toContain('the rates are not of products with a base in f32');
  });

  test('prints how long the training takes, where it runs and why, compares with a change, and writes plan, charts and trace', async () => {
    const names = ['plan.json', 'plan.svg', 'step.svg', 'trace.json', 'step-trace.json', 'front.svg'];
    const [json, svg, stepSvg, trace, stepTrace, front] = names.map((name) => join(directory, name));
    const { code, out, err } = await run(
      ...planArgs(
        '--what-if',
        'drop nano',
        '--json',
        json!,
        '--svg',
        svg!,
        '--step-svg',
        stepSvg!,
        '--trace',
        trace!,
        '--step-trace',
        stepTrace!,
        '--front',
        front!,
      ),
    );
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toContain('Plan (simulated) for 4 tasks with smollm2-135m on 2 devices');
    expect(out).toMatch(/What if drop nano\? About [\d:]+, [\d.]+ times as long/);
    const written = JSON.parse(await readFile(json!, 'utf8')) as {
      workloads: readonly Workload[];
      plan: Plan;
      whatIf: { plan: Plan };
      timeEnergy: { front: { totalSeconds: number }[] };
    };
    // What is written plans the same again, and fewer devices are never faster.
    expect(plan(written.workloads, cluster).totalSeconds).toBe(written.plan.totalSeconds);
    expect(written.whatIf.plan.totalSeconds).toBeGreaterThanOrEqual(written.plan.totalSeconds);
    const last = written.plan.jobs.at(-1)!;
    for (const text of [
      'every device is taken to hold the base model already',
      `critical path: ${written.plan.explanation.criticalPath.join(' → ')}`,
      `, ${written.plan.jobs.length} jobs, `,
      'The first steps of the longest interval (',
    ])
      expect(out).toContain(text);
    expect(await readFile(svg!, 'utf8')).toMatch(
      new RegExp(`^<svg[^]*The whole run[^]*${last.tasks.join(' [+] ')} · [^]*</svg>\\s*$`),
    );
    expect(await readFile(stepSvg!, 'utf8')).toMatch(/^<svg[^]*micro-batch[^]*<\/svg>\s*$/);
    const drawn = await readFile(front!, 'utf8');
    for (const text of ['<svg', '(simulated)', 'training, minutes', 'energy, Wh', 'orin', '</svg>'])
      expect(drawn).toContain(text);
    expect(written.timeEnergy.front[0]!.totalSeconds).toBe(written.plan.totalSeconds);
    for (const file of [trace, stepTrace])
      expect(JSON.parse(await readFile(file!, 'utf8'))).toHaveProperty('traceEvents');
  }, 60_000);

  test('reads a cluster file with a byte order mark as one without, and names another encoding', async () => {
    const text = JSON.stringify(cluster);
    const [marked, wide] = ['marked.json', 'wide.json'].map((name) => join(directory, name)) as [
      string,
      string,
    ];
    await writeFile(marked, `\ufeff${text}`);
    await writeFile(wide, Buffer.from(`\ufeff${text}`, 'utf16le'));
    const planFor = (path: string) =>
      run(...planArgs().map((one) => (one.endsWith('cluster.json') ? path : one)));
    const plain = await run(...planArgs());
    expect(await planFor(marked)).toEqual(plain);
    expect(plain.code).toBe(0);
    const refused = await planFor(wide);
    expect(refused.err).toMatch(/wide\.json:1: the file is in the encoding UTF-16; save it as UTF-8/);
    expect(refused.code).toBe(2);
  });

  test.each(['--model', '--cluster'])(
    'says of a %s that cannot be read why, not that it is missing',
    async (option) => {
      const path = join(directory, `self${option}`);
      await symlink(path, path);
      const args = planArgs();
      args[args.indexOf(option) + 1] = path;
      expect((await run(...args)).err).toMatch(/ELOOP/);
    },
  );

  test('keeps the columns of a table straight where names are wider on a terminal than their length', async () => {
    const wide = join(directory, 'wide.json');
    await writeFile(
      wide,
      JSON.stringify({ ...cluster, devices: [{ ...cluster.devices[0], id: '車載機器' }], links: [] }),
    );
    const { out } = await run(
      ...['plan', scenario, '--model', 'smollm2-135m', '--frozen-prefix', '--cluster', wide],
    );
    const lines = out.split('\n');
    const header = lines.findIndex((line) => line.startsWith('device '));
    const table = lines.slice(header, header + 3);
    expect(table[2]).toContain('車載機器');
    expect(new Set(table.map((line) => stringWidth(line))).size).toBe(1);
  }, 60_000);

  test.each([
    ['an unknown model', ['--model', 'gpt-9'], /no model directory gpt-9.*known are smollm2-135m/],
    ['no cluster file', ['--cluster', 'nowhere.json'], /there is no file nowhere\.json/],
    [
      'a profile with a unit in a number and a field that is missing',
      ['--cluster', 'UNITS'],
      /^scheduler\/plan: [^]*devices\[\d\]\.flopsPerSecond\.weight: must be a finite number above 0, got undefined[^]*devices\[\d\]\.memoryBytes: must be a finite number above 0, got "8 GB"/,
    ],
    [
      'a change to nothing',
      ['--what-if', 'drop tx2, lan=5Mbit'],
      /no device "tx2"; there are nano, orin[^]*no medium "lan"/,
    ],
    ['too few joules', ['--joules', '1'], /options\.joulesLimit: is 1 J, but the most frugal plan/],
  ])(
    'ends with one clear message on %s',
    async (_, more, message) => {
      const units = join(directory, 'units.json');
      await writeFile(
        units,
        JSON.stringify({
          devices: [{ id: 'a', flopsPerSecond: { forward: 1, input: 1 }, memoryBytes: '8 GB' }],
          links: [],
        }),
      );
      const { code, err } = await run(...planArgs(...more.map((one) => one.replace('UNITS', units))));
      expect(code).toBe(2);
      expect(err).toMatch(message);
      expect(err).not.toContain('    at ');
    },
    60_000,
  );
});
