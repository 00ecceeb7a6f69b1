/**
 * What a child's training data do to the decision: whose answers of parents its prompts show, and how often its image is missing.
 * The parents are trained once per seed, and every arm trains the decision on top of the same frozen segments.
 * Usage: npm run bench:child-data -- [--effort 0.2] [--seeds 2] [--json FILE]
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import {
  decisionTask,
  defaultIovCounts,
  embeddedScenario,
  iovSplits,
  type IovCounts,
  writeIovDataset,
} from '@contextlora/benchmarks';
import {
  evaluateTask,
  exampleOfGraph,
  imagesOf,
  prepareRun,
  readTaskData,
  type TaskData,
  trainRun,
} from '@contextlora/finetune';
import { openKernels } from '@contextlora/kernels';
import { initialiseSegments } from '@contextlora/lora';
import { writeWhole } from '@contextlora/lora/files';
import { createLocalModel, loadModel, type LocalModel } from '@contextlora/model';
import { answerParents, macroAverage, type Prediction, type TaskRow } from '@contextlora/trainer';

import { demoSettings } from '../src/demo/demo-scenario.js';

const { values } = parseArgs({
  options: {
    effort: { type: 'string', default: '0.2' },
    seeds: { type: 'string', default: '1' },
    json: { type: 'string' },
  },
});
const effort = Number(values.effort);
const sources = ['gold', 0.5, 'predicted'] as const;
const dropouts = [0, 0.3, 0.6];
/** Combinations of the parents' answers that marginal answers follow. */
const combinations = 8;

const counts: IovCounts = {
  ...defaultIovCounts,
  train: scaled(defaultIovCounts.train),
  ...Object.fromEntries(
    iovSplits.filter((split) => split !== 'train').map((split) => [split, onlyDecision(split)]),
  ),
};

interface Result {
  readonly seed: number;
  readonly parentAnswers: (typeof sources)[number];
  readonly imageDropout: number;
  /** Set of rows → how the decision was answered. */
  readonly sets: Readonly<Record<string, Measured>>;
}
interface Measured {
  readonly hard: number;
  readonly marginal: number;
  /** Parents' answers from the image, the decision without it. */
  readonly noImage: number;
  /** Mean −ln p(right answer), in nats. */
  readonly nllHard: number;
  readonly nllMarginal: number;
}

const results: Result[] = [];
const base = await loadModel(embeddedScenario().modelDirectory, { kernels: await openKernels() });
for (let seed = 0; seed < Number(values.seeds); seed++) {
  const directory = await mkdtemp(join(tmpdir(), 'child-data-'));
  try {
    await finish(writeIovDataset(directory, { seed, counts }));
    const data = await readTaskData(embeddedScenario().taskFile, { dataDirectory: directory });
    results.push(...(await runSeed(data, seed)));
  } finally {
    await rm(directory, { recursive: true });
  }
}
base.dispose();
printTable();
if (values.json) await writeWhole(values.json, `${JSON.stringify(results, null, 2)}\n`);

async function runSeed(data: TaskData, seed: number): Promise<Result[]> {
  const settings = demoSettings({ seed, effort });
  const run = prepareRun(base, data, { settings });
  await finish(run.model.features.warm(imagesOf(data)));
  const training = withoutEvaluation(data);
  const [parents, child] = [run.phases.slice(0, -1), run.phases.slice(-1)];
  await finish(trainRun({ ...run, data: training, phases: parents }, { settings }));
  const trained = run.model.segments();
  const fresh = initialiseSegments(run.partition, { seed })[decisionTask]!;
  const splits = data.rows[decisionTask]!;
  const sets = { validation: splits.validation, ...splits.tests };
  const known: Record<string, Record<string, readonly Prediction[]>> = {};
  for (const [name, rows] of Object.entries(sets))
    known[name] = await answerParents(run.model, data.graph, decisionTask, rows, {
      exampleOf: exampleOfGraph(data.graph),
    });

  const found: Result[] = [];
  for (const parentAnswers of sources)
    for (const imageDropout of dropouts) {
      const own = { ...settings, parentAnswers, imageDropout: { [decisionTask]: imageDropout } };
      const model = createLocalModel(base, {
        partition: run.partition,
        segments: { ...trained, [decisionTask]: fresh },
        features: run.model.features,
      });
      await finish(trainRun({ ...run, model, data: training, phases: child }, { settings: own }));
      const measured: Record<string, Measured> = {};
      for (const [name, rows] of Object.entries(sets))
        measured[name] = await measure(model, data, { rows, known: known[name] ?? {} });
      found.push({ seed, parentAnswers, imageDropout, sets: measured });
      console.error(`seed ${seed}, ${parentAnswers}, image dropout ${imageDropout}: done`);
    }
  return found;
}

async function measure(
  model: LocalModel,
  { graph }: TaskData,
  {
    rows,
    known,
  }: { readonly rows: readonly TaskRow[]; readonly known: Record<string, readonly Prediction[]> },
): Promise<Measured> {
  const ask = (of: readonly TaskRow[], more: object) =>
    evaluateTask(model, { graph, task: decisionTask, rows: of, ...more });
  const hard = await ask(rows, { known });
  const marginal = await ask(rows, { answers: 'marginal', combinations });
  const noImage = await ask(
    rows.map(({ text, parents, answer }) => ({ text, parents, answer })),
    { known },
  );
  const { answer } = graph.getNodeAttributes(decisionTask);
  const labels = answer.type === 'label' ? answer.labels : [];
  const nll = (predictions: readonly Prediction[]) =>
    macroAverage(
      rows.map((row, i) => -(predictions[i]?.labelLogProbabilities?.[labels.indexOf(row.answer)] ?? NaN)),
    );
  return {
    hard: hard.accuracy,
    marginal: marginal.accuracy,
    noImage: noImage.accuracy,
    nllHard: nll(hard.predictions),
    nllMarginal: nll(marginal.predictions),
  };
}

function printTable(): void {
  const { train } = counts;
  console.log(
    `The decision by what its training prompts show: ${train.strategy} labelled scenes, ${Math.round(250 * effort)} steps, effort ${effort}, ` +
      `mean of ${values.seeds} seed${values.seeds === '1' ? '' : 's'}; accuracy in %, NLL in nats; marginal over ${combinations} combinations`,
  );
  const columns = ['hard', 'marginal', 'noImage', 'nllHard', 'nllMarginal'] as const;
  console.log(
    `${'parents’ answers'.padEnd(17)}${'dropout'.padStart(8)}  ${'rows'.padEnd(14)}` +
      ['hard', 'marginal', 'no image', 'NLL', 'marginal'].map((name) => name.padStart(10)).join(''),
  );
  for (const source of sources)
    for (const dropout of dropouts)
      for (const set of ['validation', 'test', 'unseen-style']) {
        const of = results.filter((one) => one.parentAnswers === source && one.imageDropout === dropout);
        const cells = columns.map((column) => {
          const mean = macroAverage(of.map(({ sets }) => sets[set]?.[column] ?? NaN));
          return (column.startsWith('nll') ? mean.toFixed(2) : (100 * mean).toFixed(1)).padStart(10);
        });
        console.log(
          `${(source === 0.5 ? 'half predicted' : source).padEnd(17)}${dropout.toFixed(1).padStart(8)}  ${set.padEnd(14)}${cells.join('')}`,
        );
      }
}

/** Runs a generator to its end. */
async function finish(steps: AsyncGenerator): Promise<void> {
  while (!(await steps.next()).done);
}

/** Only the training rows: the arms are measured apart. */
function withoutEvaluation(data: TaskData): TaskData {
  const bare = Object.entries(data.rows).map(
    ([id, { train }]) => [id, { train, validation: [], tests: {} }] as const,
  );
  return { ...data, rows: Object.fromEntries(bare) };
}

function scaled(split: IovCounts['train']): IovCounts['train'] {
  const of = (count: number) => Math.max(30, Math.round(count * Math.min(1, effort)));
  return {
    vehicle: of(split.vehicle),
    weather: of(split.weather),
    road: of(split.road),
    strategy: of(split.strategy),
  };
}

/** The other tasks are not measured here. */
function onlyDecision(split: (typeof iovSplits)[number]): IovCounts['train'] {
  return { vehicle: 1, weather: 1, road: 1, strategy: defaultIovCounts[split].strategy };
}
