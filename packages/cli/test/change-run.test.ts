import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { openRun, readHistory } from '@contextlora/finetune';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { baseModel, contentsOf, taskFile, taskSources, writeData, writeTaskFile } from './changing-run.js';
import { runCommand as run, type RunOptions } from './run-command.js';

let directory: string;
const at = (name: string) => join(directory, name);
const trained = ['light', 'time', 'lamp'] as const;
const all = [...trained, 'door'] as const;

async function train(
  out: string,
  tasks: readonly (keyof typeof taskSources)[],
  more: Record<string, string> = {},
) {
  const { data = at('data'), source = taskFile(tasks), rank = String(4 * tasks.length), baseFormat } = more;
  const path = await writeTaskFile(at(`${out}.yaml`), source);
  const options = ['--rank', rank, '--steps', '6', '--batch-size', '2', '--learning-rate', '0.01'];
  if (baseFormat !== undefined) options.push('--base-format', baseFormat);
  const outcome = await run([
    'train',
    path,
    '--model',
    baseModel,
    '--data',
    data,
    '--out',
    at(out),
    ...options,
  ]);
  expect(outcome).toMatchObject({ code: 0, err: '' });
}

/** A copy of the run of three tasks. */
async function copyOf(name: string): Promise<string> {
  await rm(at(name), { recursive: true, force: true });
  await cp(at('three'), at(name), { recursive: true });
  return at(name);
}

/** Partition and adapters: everything that a task answers with. */
async function weightsOf(out: string) {
  const files = await contentsOf(out);
  return Object.fromEntries(Object.entries(files).filter(([path]) => /^(partition|adapters)\//.test(path)));
}
const segmentOf = (files: Readonly<Record<string, string>>, task: string) =>
  files[`partition/segments/${task}/adapter_model.safetensors`];

const change = (args: readonly string[], options?: RunOptions) => run([...args, '--yes'], options);

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'contextlora-change-'));
  await writeData(at('data'));
  await writeTaskFile(at('all.yaml'), taskFile(all));
  await train('three', trained);
  await train('four', all);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

describe('a changed run has the bytes of one that was trained like this from the start', () => {
  test('with an added task: only it trains, and the history says so', async () => {
    const out = await copyOf('added');
    const before = await weightsOf(out);
    const outcome = await change(['add-task', out, '--tasks', at('all.yaml'), '--data', at('data')]);
    expect(outcome).toMatchObject({ code: 0, err: '' });
    const after = await weightsOf(out);
    expect(after).toEqual(await weightsOf(at('four')));
    for (const task of trained) expect(segmentOf(after, task)).toBe(segmentOf(before, task));
    expect(outcome.out).toMatch(/door +it is new +6 +about/);
    expect(outcome.out).toContain('light, time, lamp stay as they are, to the byte.');
    expect(outcome.out).not.toMatch(/1\/1 (light|time|lamp)/);
    const [entry, ...others] = await readHistory(out);
    expect(others).toEqual([]);
    expect(entry).toMatchObject({
      command: 'add-task',
      plan: { kept: ['light', 'time', 'lamp'], retrained: [], added: ['door'], removed: [] },
    });
    for (const task of trained) expect(entry?.after[task]).toBe(entry?.before[task]);
    expect(Date.parse(entry?.at ?? '')).not.toBeNaN();
    const opened = await openRun(out);
    expect(opened.trainedTasks).toEqual([...all]);
    const inspected = await run(['inspect', out]);
    expect(inspected.out).toMatch(/tasks that the data of light can reach +light, lamp, door\n/);
    expect(inspected.out).toMatch(/tasks that the data of time can reach +time\n/);
    expect(inspected.out).toMatch(/change 1 +add-task on .*: door added; light, time, lamp kept\n/);
    expect(await readdir(out)).not.toContain('.contextlora-change');
  });

  test('with a task removed, on which others built: its descendants train again without it', async () => {
    await rm(at('removed'), { recursive: true, force: true });
    await cp(at('four'), at('removed'), { recursive: true });
    const outcome = await change(['remove-task', at('removed'), 'lamp']);
    expect(outcome).toMatchObject({ code: 0, err: '' });
    expect(outcome.out).toMatch(/door +depends on nothing instead of lamp +6 /);
    const source = taskFile(['light', 'time', 'door'], {
      door: taskSources.door.replace('\n    dependsOn: [lamp]', ''),
    });
    await train('without', ['light', 'time', 'door'], { source });
    expect(await weightsOf(at('removed'))).toEqual(await weightsOf(at('without')));
    expect((await readHistory(at('removed')))[0]?.plan).toMatchObject({
      kept: ['light', 'time'],
      removed: ['lamp'],
    });
  });

  test('with a task removed on which none builds: nothing trains', async () => {
    await rm(at('leaf'), { recursive: true, force: true });
    await cp(at('four'), at('leaf'), { recursive: true });
    // It comes before others, which have random numbers by name, not by place.
    const outcome = await change(['remove-task', at('leaf'), 'time']);
    expect(outcome).toMatchObject({ code: 0, err: '' });
    expect(outcome.out).toContain('Nothing trains.');
    await train('without-time', ['light', 'lamp', 'door']);
    expect(await weightsOf(at('leaf'))).toEqual(await weightsOf(at('without-time')));
  });

  test('on a base in the format that the run was trained on', async () => {
    await train('coarse', ['light'], { baseFormat: 'int8' });
    const tasks = await writeTaskFile(at('two.yaml'), taskFile(['light', 'time']));
    const outcome = await change(['add-task', at('coarse'), '--tasks', tasks, '--data', at('data')]);
    expect(outcome).toMatchObject({ code: 0, err: '' });
    await train('coarse-both', ['light', 'time'], { baseFormat: 'int8' });
    expect(await weightsOf(at('coarse'))).toEqual(await weightsOf(at('coarse-both')));
  });

  test('with settings of its own for an added task', async () => {
    const out = await copyOf('own');
    const given = [
      '--learning-rate',
      '0.02',
      '--epochs',
      '4',
      '--rank',
      '2',
      '--layers',
      '{ from: 1, to: 2 }',
    ];
    const args = ['add-task', out, '--tasks', at('all.yaml'), '--data', at('data')];
    expect(await change([...args, ...given])).toMatchObject({ code: 0, err: '' });
    const { settings, partition } = await openRun(out);
    expect(settings).toMatchObject({
      steps: { light: 6, time: 6, lamp: 6, door: 4 },
      learningRate: { light: 0.01, door: 0.02 },
      rank: { light: 4, door: 2 },
    });
    const linears = Object.entries(partition.layers).filter(([, { spans }]) => spans['door']);
    expect(linears.length).toBeGreaterThan(0);
    for (const [name, { spans }] of linears) {
      expect(name).toContain('layers.1.');
      expect(spans['door']!.end - spans['door']!.start).toBe(2);
    }
  });

  test('with other data of a task, or other labels: it and its descendants train again, in a second change too', async () => {
    const out = await copyOf('retrained');
    const data = await writeData(at('other-data'), { corrupted: 'light' });
    const outcome = await change(['retrain', out, 'light', '--data', data]);
    expect(outcome).toMatchObject({ code: 0, err: '' });
    await train('other', trained, { data });
    expect(await weightsOf(out)).toEqual(await weightsOf(at('other')));

    const labels = taskSources.time.replace('early, late', 'early, late, noon');
    const source = taskFile(trained, { time: labels });
    const path = await writeTaskFile(at('noon.yaml'), source);
    const relabelled = await change(['relabel', out, '--tasks', path, '--data', data]);
    expect(relabelled).toMatchObject({ code: 0, err: '' });
    expect(relabelled.out).toMatch(/time +new labels noon/);
    await train('noon', trained, { data, source });
    expect(await weightsOf(out)).toEqual(await weightsOf(at('noon')));
    const history = await readHistory(out);
    expect(history.map(({ command }) => command)).toEqual(['retrain', 'relabel']);
    expect(history[0]?.plan).toMatchObject({
      kept: ['time'],
      retrained: [{ task: 'light' }, { task: 'lamp' }],
    });
    expect(history[1]?.plan).toMatchObject({ kept: ['light', 'lamp'], retrained: [{ task: 'time' }] });
  });
});

describe('a change that is stopped', () => {
  test('leaves the run as it was, and ends with the same bytes when it is resumed', async () => {
    const out = await copyOf('stopped');
    const before = await contentsOf(out);
    const args = ['add-task', out, '--tasks', at('all.yaml'), '--data', at('data')];
    let isInterrupted = false;
    const stopped = await change(args, {
      onOutput(text, interrupt) {
        if (isInterrupted || !text.includes('step 1/6')) return;
        isInterrupted = true;
        interrupt();
      },
    });
    expect(stopped.code).toBe(130);
    const left = await contentsOf(out);
    for (const [path, content] of Object.entries(before)) expect(left[path]).toBe(content);
    expect((await openRun(out)).trainedTasks).toEqual([...trained]);

    const again = await change(args);
    expect(again.code).toBe(2);
    expect(again.err).toMatch(/a change .* was stopped; --resume goes on with it, --force begins this one/);
    const other = await change(['retrain', out, 'time', '--resume']);
    expect(other.code).toBe(2);
    expect(other.err).toMatch(
      /the change that was stopped .* is another one[\s\S]*the tasks that train: door when/,
    );

    const resumed = await run([...args, '--resume']);
    expect(resumed).toMatchObject({ code: 0, err: '' });
    expect(resumed.out).toMatch(/resuming at phase 1, step [1-6]/);
    expect(await weightsOf(out)).toEqual(await weightsOf(at('four')));
    expect(await metricsOf(out)).toEqual(await metricsOf(at('added')));
  });

  test.each<[string, (out: string) => string[]]>([
    ['retrain', (out) => ['retrain', out, 'light', '--data', at('data')]],
    ['remove-task', (out) => ['remove-task', out, 'time']],
  ])('when %s was complete has nothing left to do', async (name, args) => {
    const out = await copyOf(`complete-${name}`);
    expect(await change(args(out))).toMatchObject({ code: 0, err: '' });
    const before = await contentsOf(out);
    const again = await run([...args(out), '--resume']);
    expect(again).toMatchObject({ code: 0, err: '' });
    expect(again.out).toMatch(/is complete, and nothing is left to do/);
    expect(await contentsOf(out)).toEqual(before);
    const other = await run(['remove-task', out, 'lights', '--resume']);
    expect(other.err).toMatch(/no task "lights"; did you mean "light"\?/);
  });

  const metricsOf = (out: string) => readFile(join(out, 'metrics.jsonl'), 'utf8');
});

describe('a change that is not made', () => {
  test.each<[string, (out: string) => string[], RegExp]>([
    [
      'without a new task',
      (out) => ['add-task', out, '--tasks', at('three.yaml'), '--data', at('data')],
      /the task file has no new task; "contextlora relabel"/,
    ],
    [
      'of other data than the named',
      (out) => ['retrain', out, 'time', '--data', at('light-data')],
      /task "light" changed too \(other training rows\): name it, or undo that/,
    ],
    [
      'of a task that there is not',
      (out) => ['retrain', out, 'lights'],
      /no task "lights"; did you mean "light"\?/,
    ],
    [
      'that changes nothing',
      (out) => ['relabel', out, '--tasks', at('three.yaml'), '--data', at('data')],
      /cannot be changed like this:\n {2}nothing changed/,
    ],
    [
      'with a setting that the tasks which stay were not trained with',
      (out) => ['add-task', out, '--tasks', at('all.yaml'), '--data', at('data'), '--batch-size', '3'],
      /--batch-size <value>.*the tasks that stay were trained with that of the run; train a new run/,
    ],
    [
      'with ranks for an old task',
      (out) => ['retrain', out, 'time', '--rank', '3'],
      /--rank <value>.*old tasks keep their ranks in a change/,
    ],
    [
      'with steps where none are asked for',
      (out) => ['relabel', out, '--tasks', at('three.yaml'), '--steps', '3'],
      /--steps <value>.*this command trains with the settings of the run; "contextlora retrain" takes others/,
    ],
    [
      'on another model',
      (out) => ['retrain', out, 'time', '--model', at('other-model')],
      /other-model is not the model that .*refused was trained on/,
    ],
  ])('%s is refused and leaves no trace', async (_, args, message) => {
    await writeData(at('light-data'), { corrupted: 'light' });
    await cp(baseModel, at('other-model'), { recursive: true });
    const config = join(at('other-model'), 'generation_config.json');
    await writeFile(config, (await readFile(config, 'utf8')).replace('{', '{ "max_length": 9,'));
    const out = await copyOf('refused');
    const before = await contentsOf(out);
    const outcome = await change(args(out));
    expect(outcome.err).toMatch(message);
    expect(outcome.code).toBe(2);
    expect(await contentsOf(out)).toEqual(before);
  });

  test('is shown by --dry-run, and asked about on a terminal', async () => {
    const out = await copyOf('asked');
    const before = await contentsOf(out);
    const args = ['retrain', out, 'light'];
    const shown = await run([...args, '--dry-run']);
    expect(shown).toMatchObject({ code: 0, err: '' });
    expect(shown.out).toMatch(/light +asked for +6 +about 0:\d\d\n *lamp +it builds on light +6 /);
    expect(shown.out).toMatch(/time stays as it is, to the byte\.\n *12 steps in all, about/);
    const silent = await run(args);
    expect(silent).toMatchObject({ code: 2, err: expect.stringContaining('say --yes to begin') });
    const denied = await run(args, { isTerminal: true, input: 'n\n' });
    expect(denied).toMatchObject({ code: 0, out: expect.stringContaining('Nothing is changed.') });
    expect(await contentsOf(out)).toEqual(before);
    const agreed = await run(args, { isTerminal: true, input: 'y\n' });
    expect(agreed).toMatchObject({ code: 0, err: '' });
    // On the same data they end as they were.
    expect(await weightsOf(out)).toEqual(await weightsOf(at('three')));
  });

  test('is not one of a run that was stopped', async () => {
    await mkdir(at('unfinished'));
    const { '.contextlora-run': marker = '', 'run.json': description = '' } = await contentsOf(at('three'));
    expect(marker).toContain('"isFinished": true');
    await train('half', trained);
    await rm(at('half/report.json'));
    expect(description).not.toBe('');
    const outcome = await change(['retrain', at('half'), 'light']);
    expect(outcome).toMatchObject({
      code: 2,
      err: expect.stringMatching(/missing, or not as it wrote them.*\n *report\.json/),
    });
  });
});
