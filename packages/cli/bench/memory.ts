/**
 * Compares what `contextlora train --dry-run` predicts, memory and time, with what the same run then takes, each in a process of its own.
 * Ends with 1 if a run held more than was predicted. SmolLM2 takes part where CONTEXTLORA_MODELS has it.
 * Usage: npm run bench:memory -- [--only NAME] [--json FILE]
 */
import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { defaultIovCounts, embeddedScenario, iovTasks, writeIovDataset } from '@contextlora/benchmarks';
import { writeWhole } from '@contextlora/lora/files';

const { values } = parseArgs({ options: { only: { type: 'string' }, json: { type: 'string' } } });
const directory = await mkdtemp(join(tmpdir(), 'memory-'));
const { modelDirectory: small, taskFile: pictures } = embeddedScenario();
const models = process.env['CONTEXTLORA_MODELS'];
const large = models === undefined ? undefined : join(models, 'SmolLM2-135M-Instruct');

interface Case {
  readonly name: string;
  readonly model: string;
  readonly tasks: string;
  readonly settings: readonly string[];
}
const cases = async (): Promise<Case[]> => {
  const [short, long, free] = [
    await writeTexts('short', { words: 12, answer: '{ type: label, labels: [night, sunny] }' }),
    await writeTexts('long', { words: 160, answer: '{ type: label, labels: [night, sunny] }' }),
    await writeTexts('free', { words: 60, answer: '{ type: text }' }),
  ];
  const onSmall = (name: string, tasks: string, ...settings: string[]): Case => ({
    name,
    model: small,
    tasks,
    settings,
  });
  return [
    onSmall('pictures', pictures),
    onSmall('pictures, batch 64', pictures, '--batch-size', '64'),
    onSmall('pictures, batch 64 in 8', pictures, '--batch-size', '64', '--micro-batches', '8'),
    onSmall('pictures, rank 256', pictures, '--rank', '256'),
    onSmall('pictures, q and v', pictures, '--targets', '[q_proj, v_proj]'),
    onSmall('pictures, upper half', pictures, '--layers', '{ from: 3, to: 6 }'),
    onSmall('short texts, SGD', short, '--optimizer', 'sgd', '--learning-rate', '0.1', '--batch-size', '1'),
    onSmall('long texts, batch 32', long, '--batch-size', '32'),
    onSmall('free answers, Lion', free, '--optimizer', 'lion', '--learning-rate', '5e-4'),
    ...(large !== undefined && existsSync(large)
      ? [
          { name: 'SmolLM2-135M', model: large, tasks: short, settings: ['--batch-size', '8'] },
          {
            name: 'SmolLM2-135M, top third',
            model: large,
            tasks: long,
            settings: ['--batch-size', '2', '--layers', '{ from: 20, to: 30 }'],
          },
        ]
      : []),
  ];
};

/** Two tasks without pictures, the second on the first. */
async function writeTexts(
  name: string,
  { words, answer }: { words: number; answer: string },
): Promise<string> {
  const row = (i: number, parents: object) => ({
    text: Array.from({ length: words }, (_, word) => ((i * 7 + word * 3) % 5 < 2 ? 'low' : 'bright')).join(
      ' ',
    ),
    parents,
    answer: i % 3 === 0 ? 'sunny' : 'night',
  });
  const lines = (count: number, parents: object) =>
    Array.from({ length: count }, (_, i) => `${JSON.stringify(row(i, parents))}\n`).join('');
  for (const [id, parents] of Object.entries({ light: {}, lamp: { light: 'night' } })) {
    await writeFile(join(directory, `${name}.${id}.train.jsonl`), lines(96, parents));
    await writeFile(join(directory, `${name}.${id}.test.jsonl`), lines(64, parents));
  }
  const task = (id: string, rest: string) =>
    `  - { id: ${id}, inputs: [text], answer: ${answer}, data: { train: ${name}.${id}.train.jsonl, test: ${name}.${id}.test.jsonl }, ${rest} }\n`;
  const file = join(directory, `${name}.yaml`);
  await writeFile(
    file,
    `version: 1\nname: ${name}\ntasks:\n` +
      task('light', "instruction: '{text} light ?'") +
      task('lamp', "instruction: '{text} light {light} . lamp ?', dependsOn: [light]"),
  );
  return file;
}

/** Runs a command line and returns what it printed and the most memory that it held. */
async function runApart(
  args: readonly string[],
): Promise<{ out: string; peakBytes: number; seconds: number }> {
  const started = performance.now();
  const child = fork(join(import.meta.dirname, 'memory-process.ts'), args, {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  let out = '';
  let told: { code: number; peakBytes: number } | undefined;
  child.stdout?.on('data', (text: Buffer) => (out += text.toString()));
  child.on('message', (message) => (told = message as typeof told));
  await new Promise((resolve) => child.on('close', resolve));
  if (told?.code !== 0)
    throw new Error(`contextlora ${args.join(' ')} ended with ${String(told?.code)}:\n${out}`);
  return { out, peakBytes: told.peakBytes, seconds: (performance.now() - started) / 1000 };
}

const results: object[] = [];
try {
  const few = (count: number) => Object.fromEntries(iovTasks.map((task) => [task, count]));
  const counts = Object.fromEntries(
    Object.keys(defaultIovCounts).map((split) => [split, few(split === 'train' ? 96 : 48)]),
  ) as unknown as typeof defaultIovCounts;
  const writing = writeIovDataset(directory, { seed: 0, counts });
  while (!(await writing.next()).done);
  for (const { name, model, tasks, settings } of await cases()) {
    if (values.only !== undefined && !name.includes(values.only)) continue;
    const out = join(directory, `run-${results.length}`);
    const args = [
      'train',
      tasks,
      '--model',
      model,
      '--data',
      directory,
      '--out',
      out,
      '--steps',
      '12',
      ...settings,
    ];
    const dry = await runApart([...args, '--dry-run']);
    const predictedBytes = 1e6 * Number(/in all +([\d,]+) MB/.exec(dry.out)?.[1]?.replaceAll(',', ''));
    const { peakBytes, seconds } = await runApart(args);
    const isCovered = predictedBytes >= peakBytes;
    if (!isCovered) process.exitCode = 1;
    results.push({
      name,
      settings,
      predictedBytes,
      peakBytes,
      seconds,
      dryRunSeconds: dry.seconds,
      said: dry.out,
    });
    console.log(
      `${name.padEnd(24)} predicted ${(predictedBytes / 1e6).toFixed(0).padStart(5)} MB, held ${(peakBytes / 1e6).toFixed(0).padStart(5)} MB ` +
        `(${(predictedBytes / peakBytes).toFixed(2)} times)${isCovered ? '' : '  TOO LITTLE'}`,
    );
    await rm(out, { recursive: true, force: true });
  }
} finally {
  await rm(directory, { recursive: true, force: true });
}
if (values.json) await writeWhole(values.json, `${JSON.stringify(results, null, 2)}\n`);
