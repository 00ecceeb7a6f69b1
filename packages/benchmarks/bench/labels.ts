/**
 * Whether a task writes the label that it chooses: trains label tasks whose labels are of one token, of several, or begin one another, on
 * a few prompts, and counts right answers to new prompts, chosen among the labels and written freely.
 *
 * Usage: npm run bench:labels -- [--model PATH] [--steps 14] [--seeds 1] [--learning-rate 0.002] [--threads 1] [--json FILE]
 * The model is the embedded base by default, which knows whole words only: labels of its other tokens cannot be told apart.
 */
import { parseArgs } from 'node:util';

import { embeddedScenario } from '@contextlora/benchmarks';
import { openKernels } from '@contextlora/kernels';
import { initialiseSegments, partitionRanks } from '@contextlora/lora';
import { writeWhole } from '@contextlora/lora/files';
import { createLocalModel, type Example, labelIds, linearsOf, loadModel } from '@contextlora/model';
import { accuracy } from '@contextlora/trainer';

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: embeddedScenario().modelDirectory },
    steps: { type: 'string', default: '14' },
    seeds: { type: 'string', default: '1' },
    'learning-rate': { type: 'string', default: '0.002' },
    threads: { type: 'string', default: '1' },
    json: { type: 'string' },
  },
});
const sets = [
  ['night', 'sunny', 'fog'],
  ['rain', 'rain snow', 'snow'],
  ['traffic jam', 'clear sky', 'heavy rain'],
  ['please slow down', 'keep the lane', 'stop now'],
] as const;
const words = ['low', 'bright', 'grey'] as const;

const base = await loadModel(values.model, {
  kernels: await openKernels({ threads: Number(values.threads) }),
});
const partition = partitionRanks(linearsOf(base.spec), [{ id: 't', dependsOn: [] }], { rank: 8 });

/** Shares of right answers to new prompts. */
async function measure(labels: readonly string[], seed: number) {
  const exampleOf = (i: number): Example => ({
    prompt: `case ${i} . ${words[i % words.length] ?? ''} ?`,
    answer: labels[i % labels.length] ?? '',
    labels,
  });
  await using model = createLocalModel(base, {
    partition,
    segments: initialiseSegments(partition, { seed }),
  });
  await model.setPhase({ tasks: ['t'], roles: { t: { t: 'train' } } });
  for (let step = 0; step < Number(values.steps); step++)
    await model.step('t', [Array.from({ length: 6 }, (_, i) => exampleOf(6 * step + i + 7 * seed))], {
      learningRate: Number(values['learning-rate']),
    });
  const asked = Array.from({ length: 12 }, (_, i) => exampleOf(9000 + i));
  const rightOf = async (examples: readonly Example[]) =>
    accuracy(
      (await model.predict('t', examples, { t: 'freeze' })).map(({ answer }) => answer),
      asked.map(({ answer }) => answer),
    );
  return {
    chosen: await rightOf(asked),
    written: await rightOf(asked.map(({ prompt }) => ({ prompt, answer: '' }))),
  };
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`.padStart(10);
const mean = (numbers: readonly number[]) => numbers.reduce((sum, one) => sum + one, 0) / numbers.length;
console.log(
  `${'labels (tokens without the end)'.padEnd(60)}${'chosen'.padStart(10)}${'written'.padStart(10)}`,
);
const results: { labels: readonly string[]; chosen: number; written: number }[] = [];
for (const labels of sets) {
  const runs: Awaited<ReturnType<typeof measure>>[] = [];
  for (let seed = 0; seed < Number(values.seeds); seed++) runs.push(await measure(labels, seed));
  const result = {
    labels,
    chosen: mean(runs.map(({ chosen }) => chosen)),
    written: mean(runs.map(({ written }) => written)),
  };
  results.push(result);
  const tokens = labelIds(base, labels).map((ids) => ids.length - 1);
  console.log(
    `${`${labels.join(', ')} (${tokens.join(', ')})`.padEnd(60)}${percent(result.chosen)}${percent(result.written)}`,
  );
}
base.dispose();
if (values.json) await writeWhole(values.json, `${JSON.stringify({ settings: values, results }, null, 2)}\n`);
