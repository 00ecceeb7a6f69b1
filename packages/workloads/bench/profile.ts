/**
 * The quality of this machine's profile: how well it repeats, how well plans made from it predict real steps, and how counted FLOPs
 * compare with executed ones.
 * On a shared machine it measures processor time, which does not include waiting for a processor; `--clock` overrides this.
 * Usage: npm run bench:profile -- [--only repeat,predict,counted] [--clock wall|processor] [--rounds N] [--budget SECONDS] [--json FILE]
 */
import { cpus, loadavg } from 'node:os';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';

import { measureRates } from '@contextlora/jetson';
import { openKernels } from '@contextlora/kernels';
import { writeWhole } from '@contextlora/lora/files';
import { loadModel } from '@contextlora/model';
import { measuredLayer } from '@contextlora/workloads';

import { formatTable } from '../../cli/src/terminal/table.js';
import { countedAgainstExecuted } from './counted-executed.js';
import { predictionErrors, quartiles } from './prediction-error.js';

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'repeat,predict,counted' },
    rounds: { type: 'string', default: '12' },
    budget: { type: 'string', default: '1' },
    clock: { type: 'string' },
    json: { type: 'string' },
  },
});
const cpuSeconds = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};
const rounds = Number(values.rounds);
const budgetSeconds = Number(values.budget);
const wants = (part: string) => values.only.split(',').includes(part);
const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
const milliseconds = (seconds: number) => `${(1000 * seconds).toFixed(1)} ms`;
const result: Record<string, unknown> = {};

const [load = 0] = loadavg();
const cores = cpus().length;
const isNoisy = load > 0.5 * cores;
const byProcessor = values.clock === undefined ? isNoisy : values.clock === 'processor';
const clock = byProcessor ? cpuSeconds : () => performance.now() / 1000;
result['machine'] = {
  cores,
  processor: cpus()[0]?.model,
  loadAverage: load,
  node: process.version,
  clock: byProcessor ? 'processor' : 'wall',
};
console.log(
  `${cores} cores of ${cpus()[0]?.model ?? 'an unknown processor'}, load average ${load.toFixed(1)}: ` +
    `${isNoisy ? 'noisy, something else runs here' : 'quiet'}; times are ${byProcessor ? "this process's processor time" : 'wall time'}`,
);

const kernels = await openKernels({ threads: 1 });
if (wants('repeat')) {
  const directory = dirname(createRequire(import.meta.url).resolve('@contextlora/benchmarks/package.json'));
  const layer = measuredLayer(await loadModel(join(directory, 'models/iov-base'), { kernels }), {
    rank: 8,
    batch: 4,
  });
  const kinds = ['forward', 'input', 'weight'] as const;
  const profiles = [0, 1].map(() => ({
    forward: [] as number[],
    input: [] as number[],
    weight: [] as number[],
  }));
  // The two alternate: the speed of a shared machine changes from minute to minute.
  for (let round = 0; round < 2 * rounds; round++) {
    const rates = measureRates(layer, { clock, budgetSeconds, tolerance: 0.01, tokens: 128, cpuSeconds });
    for (const kind of kinds) profiles[round % 2]![kind].push(rates[kind].flopsPerSecond);
  }
  layer.dispose();
  const rows = kinds.map((kind) => {
    const [first, second] = profiles.map((profile) => quartiles(profile[kind])) as [
      [number, number, number],
      [number, number, number],
    ];
    return {
      kind,
      first: first[1],
      second: second[1],
      difference: second[1] / first[1] - 1,
      spread: (first[2] - first[0]) / first[1],
    };
  });
  result['repeat'] = rows;
  console.log(
    `\nThis machine profiled twice, in turns; each the median of ${rounds} measurements of ${budgetSeconds} s`,
  );
  console.log(
    formatTable(
      ['kind of work', 'first GFLOP/s', 'second', 'difference', 'spread of the first'],
      rows.map(({ kind, first, second, difference, spread }) => [
        kind,
        (first / 1e9).toFixed(1),
        (second / 1e9).toFixed(1),
        percent(difference),
        percent(spread),
      ]),
    ).join('\n'),
  );
}

if (wants('predict')) {
  const steps = await predictionErrors(kernels, {
    clock,
    cpuSeconds,
    rounds: Math.max(2, Math.ceil(rounds / 4)),
    budgetSeconds,
  });
  result['predict'] = steps;
  console.log('\nA training step as predicted by plans from profiles, and as measured (medians)');
  console.log(
    formatTable(
      [
        'model',
        'samples × tokens',
        'measured',
        'spread',
        'profile of this shape',
        'error',
        'of one sample',
        'error',
      ],
      steps.map((step) => [
        step.model,
        `${step.samples} × ${step.tokens}`,
        milliseconds(step.measuredSeconds),
        percent(step.spread),
        milliseconds(step.predictedSeconds),
        percent(step.error),
        milliseconds(step.predictedByOneSample),
        percent(step.errorByOneSample),
      ]),
    ).join('\n'),
  );
}
kernels.dispose();

if (wants('counted')) {
  const rows = await countedAgainstExecuted();
  result['counted'] = rows;
  const architectures = [...new Set(rows.map(({ architecture }) => architecture))];
  console.log(
    '\nCounted by workloadsOf against executed by the kernels (FLOPs of one step of a tiny model) and kept by tfjs (bytes)',
  );
  console.log(
    formatTable(
      ['architecture', 'forward', 'input', 'weight', 'kept bytes', 'all equal'],
      architectures.map((architecture) => {
        const own = rows.filter((row) => row.architecture === architecture);
        return [
          architecture,
          ...own.map(({ counted, executed }) =>
            counted === executed ? String(counted) : `${counted} / ${executed}`,
          ),
          own.every(({ counted, executed }) => counted === executed) ? 'yes' : 'no',
        ];
      }),
    ).join('\n'),
  );
}
const [after = 0] = loadavg();
console.log(`\nLoad average at the end: ${after.toFixed(1)} on ${cores} cores.`);
result['loadAverageAtEnd'] = after;
if (values.json !== undefined) await writeWhole(values.json, `${JSON.stringify(result, null, 2)}\n`);
