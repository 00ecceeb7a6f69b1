/**
 * Two controls for a finished demo. Does the model also write the answers that it chooses among the labels? And does the decision use its
 * parents' answers, or only the picture?
 * Usage, after the demo: npm run bench:answers -- [--run DIRECTORY] [--json FILE]
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';

import { openKernels } from '@contextlora/kernels';
import { keyedRandom } from '@contextlora/lora';
import { readPartition, writeWhole } from '@contextlora/lora/files';
import { createLocalModel, loadModel } from '@contextlora/model';
import { accuracy, composeAnswers, type Prediction, type TaskRow } from '@contextlora/trainer';
import { exampleOfGraph, readTaskData } from '@contextlora/finetune';

const { values } = parseArgs({
  options: { run: { type: 'string', default: 'demo-output' }, json: { type: 'string' } },
});
const root = dirname(createRequire(import.meta.url).resolve('@contextlora/benchmarks/package.json'));
const base = await loadModel(join(root, 'models/iov-base'), { kernels: await openKernels() });
const { graph, rows } = await readTaskData(join(root, 'scenarios/iov/tasks.yaml'), {
  dataDirectory: join(values.run, 'scenes'),
});
const model = createLocalModel(base, await readPartition(join(values.run, 'partition')));
const test = rows['strategy']?.tests['test'] ?? [];
const shuffled = keyedRandom(0, 'shuffled-answers').shuffle(test);

const ask = async (inputs: readonly TaskRow[], known?: Record<string, readonly Prediction[]>) => {
  const answers = await composeAnswers(model, graph, 'strategy', inputs, {
    exampleOf: exampleOfGraph(graph),
    ...(known ? { known } : {}),
  });
  return accuracy(
    (answers['strategy'] ?? []).map(({ answer }) => answer),
    test.map(({ answer }) => answer),
  );
};
const answersOf = (of: readonly TaskRow[]) =>
  Object.fromEntries(
    ['vehicle', 'weather', 'road'].map((task) => [
      task,
      of.map(({ parents }) => ({ answer: parents[task] ?? '' })),
    ]),
  );
const withImageOf = (row: TaskRow, other: TaskRow | undefined): TaskRow =>
  other?.image === undefined ? row : { ...row, image: other.image };

/** Accuracies with scored and with written answers, parents' answers included, and how often both are the same. */
const bothForms = async (task: string, inputs: readonly TaskRow[]) => {
  const exampleOf = exampleOfGraph(graph);
  const scored = await composeAnswers(model, graph, task, inputs, { exampleOf });
  const written = await composeAnswers(model, graph, task, inputs, {
    exampleOf: (...asked) => {
      const { prompt, answer, image } = exampleOf(...asked);
      return { prompt, answer, ...(image === undefined ? {} : { image }) };
    },
  });
  const [chosen, free] = [scored, written].map((of) => (of[task] ?? []).map(({ answer }) => answer));
  const gold = inputs.map(({ answer }) => answer);
  return {
    scored: accuracy(chosen ?? [], gold),
    written: accuracy(free ?? [], gold),
    same: accuracy(free ?? [], chosen ?? []),
  };
};
const percent = (share: number) => `${(100 * share).toFixed(1)} %`.padStart(9);

const forms: Record<string, Record<string, Awaited<ReturnType<typeof bothForms>>>> = {};
console.log(
  `${'answers'.padEnd(28)}${'scored'.padStart(9)}${'written'.padStart(10)}${'the same'.padStart(11)}`,
);
for (const task of graph.nodes())
  for (const [name, inputs] of Object.entries(rows[task]?.tests ?? {})) {
    const found = await bothForms(task, inputs);
    forms[task] = { ...forms[task], [name]: found };
    console.log(
      `${`${task}, ${name}`.padEnd(28)}${percent(found.scored)} ${percent(found.written)}  ${percent(found.same)}`,
    );
  }

const control = {
  'predicted answers': await ask(test),
  'gold answers': await ask(test, answersOf(test)),
  "another scene's answers": await ask(test, answersOf(shuffled)),
  "gold answers, another scene's picture": await ask(
    test.map((row, i) => withImageOf(row, shuffled[i])),
    answersOf(test),
  ),
};
console.log("\nthe decision's accuracy, given");
for (const [name, share] of Object.entries(control)) console.log(`${name.padEnd(40)}${percent(share)}`);
if (values.json) await writeWhole(values.json, `${JSON.stringify({ forms, control }, null, 2)}\n`);
