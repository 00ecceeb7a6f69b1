import { appendFile, cp, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { writeIovDataset } from '@contextlora/benchmarks';
import { buildTaskGraph, parseTasks, toText } from '@contextlora/task-graph';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { runCommand as run } from './run-command.js';

const benchmarkRoot = dirname(createRequire(import.meta.url).resolve('@contextlora/benchmarks/package.json'));
const scenario = join(benchmarkRoot, 'scenarios/iov/tasks.yaml');
const baseModel = join(benchmarkRoot, 'models/iov-base');

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'contextlora-'));
  const of = (count: number) => ({ vehicle: count, weather: count, road: count, strategy: count });
  const counts = { train: of(12), validation: of(2), test: of(6), 'unseen-style': of(2) };
  for await (const { done } of writeIovDataset(join(directory, 'scenes'), { seed: 1, counts }))
    expect(done).toBeGreaterThan(0);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const trainArgs = (
  out: string,
  { taskFile = scenario, model = baseModel, data = join(directory, 'scenes'), more = [] as string[] } = {},
) => [
  'train',
  taskFile,
  '--model',
  model,
  '--data',
  data,
  '--out',
  join(directory, out),
  '--steps',
  '4',
  '--batch-size',
  '4',
  ...more,
];

async function edited(name: string, change: (source: string) => string): Promise<string> {
  const path = join(directory, `${name}.yaml`);
  await writeFile(path, change(await readFile(scenario, 'utf8')));
  return path;
}

describe('a mistake gives one clear message, exit code 2, and leaves nothing behind', () => {
  const mistakes: readonly [string, () => Promise<Parameters<typeof trainArgs>[1]>, RegExp][] = [
    [
      'an unknown dependency',
      async () => ({
        taskFile: await edited('unknown', (s) => s.replace('dependsOn: [weather]', 'dependsOn: [wether]')),
      }),
      /depends on "wether", which is not defined; did you mean "weather"\?/,
    ],
    [
      'a cycle',
      async () => ({
        taskFile: await edited('cycle', (s) =>
          s.replace(
            "instruction: 'weather now ?'",
            "dependsOn: [strategy]\n    instruction: 'weather now ?'",
          ),
        ),
      }),
      /cycle: "weather" → "strategy"/,
    ],
    [
      'a missing data file',
      async () => ({
        taskFile: await edited('missing', (s) => s.replace('road.train.jsonl', 'rode.train.jsonl')),
      }),
      /rode\.train\.jsonl:\n {2}no such file; task "road" names it/,
    ],
    [
      'a wrong label',
      async () => ({
        taskFile: await edited('label', (s) => s.replace('[dry, wet, icy,', '[dry, damp, icy,')),
      }),
      /road\.train\.jsonl:\n {2}line \d+: answer "wet" is not a label of task "road"/,
    ],
    [
      'a rank smaller than the number of tasks',
      () => Promise.resolve({ more: ['--rank', '3'] }),
      /rank 3 cannot be shared by 4 tasks/,
    ],
    ['a model directory without a file', () => Promise.resolve({ model: directory }), /has no config\.json/],
    [
      'an unsupported architecture',
      async () => {
        const model = join(directory, 'rwkv');
        await mkdir(model, { recursive: true });
        await writeFile(join(model, 'config.json'), '{"model_type":"rwkv"}');
        return { model };
      },
      /architecture "rwkv" is not supported; supported are llama/,
    ],
    [
      'truncated weights',
      async () => {
        const model = join(directory, 'truncated');
        await cp(baseModel, model, { recursive: true });
        await truncate(join(model, 'model.safetensors'), 100_000);
        return { model };
      },
      /is the file truncated\?/,
    ],
  ];

  test.each(mistakes)('%s', async (name, prepare, message) => {
    const out = `out-${name.replaceAll(' ', '-')}`;
    const { code, err } = await run(trainArgs(out, await prepare()));
    expect(err).toMatch(message);
    expect(err).not.toMatch(/^\s+at /m);
    expect(code).toBe(2);
    expect(await readdir(directory)).not.toContain(out);
  });

  test('does not touch an output directory with other files in it', async () => {
    const { code, err } = await run(trainArgs('scenes'));
    expect(code).toBe(2);
    expect(err).toMatch(/holds files that no run has written/);
  });
});

describe('the train command', () => {
  const stepsOf = async (out: string) =>
    (await readFile(join(directory, out, 'metrics.jsonl'), 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; task: string; step: number; loss: number })
      .flatMap(({ type, task, step, loss }) => (type === 'step' ? [{ task, step, loss }] : []));
  const hashesOf = async (out: string) =>
    (
      JSON.parse(await readFile(join(directory, out, 'partition/partition.json'), 'utf8')) as {
        sha256: Record<string, string>;
      }
    ).sha256;

  test('writes adapters, report, metrics and pictures; interrupted and resumed, it writes the same bytes', async () => {
    const whole = await run(trainArgs('whole'));
    expect(whole.err).toBe('');
    expect(whole.code).toBe(0);
    expect((await readdir(join(directory, 'whole'))).sort()).toEqual(
      [
        '.contextlora-run',
        'accuracies.png',
        'accuracies.svg',
        'adapters',
        'checkpoints',
        'graph.png',
        'graph.svg',
        'losses.png',
        'losses.svg',
        'metrics.jsonl',
        'partition',
        'report.json',
        'run.json',
        'tensorboard',
      ].sort(),
    );
    const report = JSON.parse(await readFile(join(directory, 'whole/report.json'), 'utf8')) as {
      tasks: Record<string, unknown>[];
    };
    expect(report.tasks.map(({ id }) => id)).toEqual(['vehicle', 'weather', 'road', 'strategy']);
    for (const task of report.tasks) {
      expect(Object.keys(task)).toEqual(
        expect.arrayContaining(['id', 'chance', 'base', 'afterOwnPhase', 'final']),
      );
      expect(task['bitIdentical']).toBe(true);
    }

    let isInterrupted = false;
    const stopped = await run(trainArgs('stopped'), {
      onOutput(out, interrupt) {
        if (!isInterrupted && out.includes('2/4 weather')) {
          isInterrupted = true;
          interrupt();
        }
      },
    });
    expect(stopped.code).toBe(130);
    expect(stopped.err).toMatch(/the command that made it goes on with --resume/);
    const resumed = await run(trainArgs('stopped', { more: ['--resume'] }));
    expect(resumed.code).toBe(0);
    expect(resumed.out).toMatch(/resuming at phase/);
    expect(await hashesOf('stopped')).toEqual(await hashesOf('whole'));
    const resumedReport = JSON.parse(
      await readFile(join(directory, 'stopped/report.json'), 'utf8'),
    ) as typeof report;
    expect(resumedReport.tasks).toEqual(report.tasks);
    // Ctrl-C comes before the lines of a run this short would be written by themselves.
    expect(await stepsOf('stopped')).toEqual(await stepsOf('whole'));
  });

  test.each([
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)(
    'stopped by %s ends with %i; the run is then continued or replaced only when asked',
    async (signal, expected) => {
      const out = `stopped-by-${signal}`;
      let isStopped = false;
      const stopped = await run(trainArgs(out), {
        onOutput(text, interrupt) {
          if (isStopped || !text.includes('step 1/4')) return;
          isStopped = true;
          interrupt(signal);
        },
      });
      expect(stopped.code).toBe(expected);
      await writeFile(join(directory, out, 'notes.txt'), 'mine');
      const again = await run(trainArgs(out));
      expect(again.code).toBe(2);
      expect(again.err).toMatch(/holds a run that was stopped; --resume .*--force .*--out/);
      const forced = await run(trainArgs(out, { more: ['--force'] }));
      expect(forced.code).toBe(0);
      expect(await readFile(join(directory, out, 'notes.txt'), 'utf8')).toBe('mine');
      const finished = await run(trainArgs(out, { more: ['--resume'] }));
      expect(finished.out).toMatch(/is finished; its files are as it wrote them, and nothing is left to do/);
    },
  );

  test('leaves long training rows out when asked, and says so, and what else is odd about the data', async () => {
    const data = join(directory, 'long-scenes');
    await cp(join(directory, 'scenes'), data, { recursive: true });
    const path = join(data, 'strategy.train.jsonl');
    const source = await readFile(path, 'utf8');
    const [line = ''] = source.split('\n');
    const first = JSON.parse(line) as { text: string };
    const long = JSON.stringify({ ...first, text: Array(400).fill(first.text).join(' ') });
    await writeFile(path, `${long}\n${source}`);
    await appendFile(join(data, 'strategy.test.jsonl'), `${line}\n`);

    const refused = await run(trainArgs('long-refused', { data }));
    expect(refused.code).toBe(2);
    expect(refused.err).toMatch(
      /strategy\.train\.jsonl:\n {2}line 1: the row has \d+ tokens with the answer, but the model has 512 positions/,
    );
    expect(await readdir(directory)).not.toContain('long-refused');

    const skipped = await run(trainArgs('long-skipped', { data, more: ['--long-rows', 'skip'] }));
    expect(skipped.code).toBe(0);
    expect(skipped.out).toContain(
      'warning: task "strategy": 1 of 13 training rows are longer than the model\'s 512 positions and were skipped',
    );
    expect(skipped.out).toMatch(
      /warning: task "strategy": 1 of 7 rows of the test set "test" are also training rows, .*strategy\.test\.jsonl:7 and .*strategy\.train\.jsonl:2\)/,
    );
    const report: unknown = JSON.parse(await readFile(join(directory, 'long-skipped/report.json'), 'utf8'));
    expect(report).toMatchObject({
      longRows: [{ task: 'strategy', rows: 'training rows', change: 'skipped', changed: 1, of: 13 }],
    });
  });

  test('takes settings from a file, a flag before the file, and records what was used in report and identity', async () => {
    const config = join(directory, 'train.yaml');
    await writeFile(config, 'rank: 8\nepochs: 1\nlearningRate: 0.001\nsaveEverySteps: 1\n');
    const made = await run(
      trainArgs('configured', { more: ['--config', config, '--rank', '12', '--prompt-loss'] }),
    );
    expect(made.err).toBe('');
    expect(JSON.parse(await readFile(join(directory, 'configured/report.json'), 'utf8'))).toMatchObject({
      // The helper gives --steps, which replaces the file's epochs.
      settings: {
        rank: 12,
        steps: 4,
        batchSize: 4,
        learningRate: 0.001,
        promptLoss: true,
        saveEverySteps: 1,
      },
      inputs: { 'the rank': '12', 'the steps': '4', 'the prompt loss': 'true' },
    });
    const other = await run(
      trainArgs('configured', { more: ['--config', config, '--rank', '12', '--resume'] }),
    );
    expect(other.code).toBe(2);
    expect(other.err).toMatch(/the prompt loss: true when the run began, absent now/);
  });

  test.each([
    ['a wrong key', 'ranks: 8', /bad\.yaml:1:8: unknown key "ranks"; did you mean "rank"\?/],
    [
      'a task that there is not',
      'rank: { roads: 8, vehicle: 1, weather: 1, road: 1, strategy: 1 }',
      /"rank" names "roads", .* did you mean "road"\?/,
    ],
  ])('refuses a configuration file with %s and writes nothing', async (_, source, message) => {
    const config = join(directory, 'bad.yaml');
    await writeFile(config, source);
    const { code, err } = await run(trainArgs('bad-config', { more: ['--config', config] }));
    expect(code).toBe(2);
    expect(err).toMatch(message);
    expect(await readdir(directory)).not.toContain('bad-config');
  });

  test('refuses to resume a run of other settings', async () => {
    const { code, err } = await run(trainArgs('whole', { more: ['--resume', '--seed', '9'] }));
    expect(code).toBe(2);
    expect(err).toMatch(/the checkpoint belongs to another run/);
  });
});

describe('the other commands', () => {
  test.each(['train', 'plan', 'profile', 'chat'])(
    'the help of %s ends with examples that its options allow',
    async (name) => {
      const { code, out } = await run([name, '--help']);
      expect(code).toBe(0);
      const [options = '', examples = ''] = out.split('\nExamples:\n');
      const commands = examples.split('\n').filter((line) => line.includes(`contextlora ${name} `));
      expect(commands.length).toBeGreaterThan(1);
      for (const option of commands.join(' ').match(/--[a-z-]+/g) ?? [])
        expect(options).toContain(` ${option}`);
    },
  );

  test('graph prints the graph in the requested format', async () => {
    const { tasks } = parseTasks(await readFile(scenario, 'utf8'));
    const { out, code } = await run(['graph', scenario]);
    expect(code).toBe(0);
    expect(out.trim()).toBe(toText(buildTaskGraph(tasks)));
    expect((await run(['graph', scenario, '--format', 'dot'])).out).toMatch(/^digraph/);
  });

  test('doctor lists the backends of this machine', async () => {
    const { out, code } = await run(['doctor']);
    expect(code).toBe(0);
    expect(out).toMatch(/yes {2}reference/);
    expect(out).toMatch(/yes {2}wasm .*; w8a8: products of bytes in wasm/);
  });

  test('a wrong option is explained, with exit code 2', async () => {
    const { code, err } = await run(['demo', '--seed', 'x']);
    expect(code).toBe(2);
    expect(err).toMatch(/must be a whole number/);
  });
});
