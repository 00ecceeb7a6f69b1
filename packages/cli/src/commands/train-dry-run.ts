/** What a run would take, before it begins: measured and computed, without training or writing anything. */
import {
  imagesOf,
  type PreparedRun,
  soundsOf,
  totalSteps,
  trainingExamples,
  type TrainSettings,
} from '@contextlora/finetune';
import { type Example, momentsOf } from '@contextlora/model';
import { tasksNeeded } from '@contextlora/trainer';
import { predictMemory, predictTraining, sampleShapeOf, type SampleShape } from '@contextlora/workloads';

import { type CommandContext, untilStopped } from '../command-context.js';
import { dryRunLines } from '../terminal/show-dry-run.js';
import { bar } from '../terminal/progress.js';

/** Predicts time and memory of a prepared run and prints them. */
export async function dryRun(
  run: PreparedRun,
  settings: TrainSettings,
  context: CommandContext,
): Promise<void> {
  const { base, data, model, partition, phases } = run;
  const { progress, clock, memory } = context;
  const tasks = phases.flatMap((phase) => phase.tasks);
  const shapes = await longestSamples(run, tasks, context);
  const pictures = imagesOf(data);
  const bytes = predictMemory(base.spec, run, {
    taskOf: (task) => ({
      sample: shapes.get(task) ?? { tokens: 1, answered: 1 },
      trainingRows: data.rows[task]?.train.length ?? 0,
      isLabelTask: data.graph.getNodeAttribute(task, 'answer').type === 'label',
    }),
    batchSize: settings.batchSize,
    microBatches: settings.microBatches ?? 1,
    moments: momentsOf({ method: settings.optimizer ?? 'adamw', momentum: settings.momentum ?? 0 }).length,
    dropout: settings.loraDropout !== undefined,
    pictures: pictures.length,
    sounds: [...(data.sounds?.values() ?? [])],
    ...memory(),
  });

  const some = pictures.slice(0, picturesMeasured);
  const looking = clock();
  for await (const { done, total } of untilStopped(model.features.warm(some), context.signal))
    progress.update(`  measuring pictures ${bar(done, total)}`);
  const pictureSeconds = some.length === 0 ? 0 : ((clock() - looking) / some.length) * pictures.length;
  const sounds = soundsOf(data);
  const heard = sounds.slice(0, soundsMeasured);
  const hearing = clock();
  for await (const { done, total } of untilStopped(model.features.sounds.warm(heard), context.signal))
    progress.update(`  measuring sounds ${bar(done, total)}`);
  const soundSeconds = heard.length === 0 ? 0 : ((clock() - hearing) / heard.length) * sounds.length;
  progress.update('  measuring steps');
  const { seconds, secondsByTask, settled } = await predictTraining(base, run, {
    examplesOf: (task, count) => examplesOf(run, task).slice(0, count),
    stepsOf: (task) => totalSteps(settings, [task]),
    batchSize: settings.batchSize,
    rank: mostRanks(partition),
    clock,
  });
  const lines = dryRunLines({
    bytes,
    tasks: tasks.map((task) => ({
      task,
      rows: data.rows[task]?.train.length ?? 0,
      steps: totalSteps(settings, [task]),
      tokens: shapes.get(task)?.tokens ?? 0,
      seconds: secondsByTask[task] ?? 0,
    })),
    seconds: {
      pictures: pictureSeconds,
      sounds: soundSeconds,
      steps: seconds,
      evaluation: await measureAnswers(run, tasks, clock),
    },
    settled,
  });
  progress.print();
  for (const line of lines) progress.print(`  ${line}`.trimEnd());
}

/** Enough that the tower's batches are full. */
const picturesMeasured = 64;
/** They are heard one after the other. */
const soundsMeasured = 8;
/** Answered at once. */
const answersMeasured = 64;
/** Tokenised between two turns of the event loop. */
const rowsAtOnce = 200;

/** The longest row of each task, in training or in a test, by the answers that training rows show. */
async function longestSamples(
  { base, data }: PreparedRun,
  tasks: readonly string[],
  { progress, signal }: CommandContext,
): Promise<Map<string, SampleShape>> {
  const shapes = new Map<string, SampleShape>();
  const measure = async function* (task: string) {
    const { train = [], validation = [], tests = {} } = data.rows[task] ?? {};
    let done = 0;
    for (const rows of [train, validation, ...Object.values(tests)])
      for (const row of rows) {
        const { tokens = 1, answered = 1 } = shapes.get(task) ?? {};
        const shape = sampleShapeOf(base, trainingExamples(data.graph.getNodeAttributes(task), [row]));
        shapes.set(task, {
          ...shape,
          tokens: Math.max(tokens, shape.tokens),
          answered: Math.max(answered, shape.answered),
        });
        done += 1;
        if (done % rowsAtOnce === 0) yield Promise.resolve(done);
      }
  };
  for (const task of tasks)
    for await (const done of untilStopped(measure(task), signal))
      progress.update(`  counting tokens of ${task}: ${done} rows`);
  return shapes;
}

const examplesOf = ({ data: { graph, rows } }: PreparedRun, task: string): Example[] =>
  trainingExamples(graph.getNodeAttributes(task), [...(rows[task]?.train ?? [])].slice(0, answersMeasured));

/** Seconds of all evaluations: those after a task's phase, with the tasks that it builds on, and those at the beginning and the end. */
async function measureAnswers(
  run: PreparedRun,
  tasks: readonly string[],
  clock: () => number,
): Promise<number> {
  const { data, model, phases } = run;
  let seconds = 0;
  for (const task of tasks) {
    const examples = examplesOf(run, task);
    const roles = phases.find((phase) => phase.tasks.includes(task))?.roles[task];
    if (examples.length === 0 || !roles) continue;
    const started = clock();
    await model.predict(task, examples, roles);
    const each = (clock() - started) / examples.length;
    const { validation = [], tests = {} } = data.rows[task] ?? {};
    const [main = [], ...others] = Object.values(tests);
    const rows = validation.length + 3 * main.length + 2 * others.flat().length;
    seconds += each * rows * tasksNeeded(data.graph, task).size;
  }
  return seconds;
}

/** Ranks per linear, over all tasks. */
const mostRanks = ({ layers }: PreparedRun['partition']) =>
  Math.max(
    ...Object.values(layers).map(({ spans }) => Math.max(...Object.values(spans).map(({ end }) => end))),
  );
