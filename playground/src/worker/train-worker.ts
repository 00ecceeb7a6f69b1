/** Trains the demo's tasks in the browser, with the packages as they are in Node, and answers questions to what it has trained. */
import {
  decisionTask,
  demoCounts,
  demoSettings,
  planForBoards,
  writeIovDataset,
} from '@contextlora/benchmarks';
import { viewOfRun } from '@contextlora/dashboard/cards';
import {
  answerQuestions,
  imagesOf,
  type MetricsEntry,
  type PreparedRun,
  prepareRun,
  readTaskData,
  readTaskFile,
  type RunEvent,
  trainRun,
} from '@contextlora/finetune';
import { openKernels } from '@contextlora/kernels';
import { hashSegment } from '@contextlora/lora/files';
import { loadModel } from '@contextlora/model';
import { stepsOfTask } from '@contextlora/trainer';
import { Buffer } from 'buffer';
import { fs } from 'memfs';

import type { AskMessage, FromWorker, SceneView, StartMessage, ToWorker } from '../messages.js';
import { corruptLabels } from './corrupt-labels.js';
import { loadFiles, modelFolder, taskFile } from './load-files.js';

const scenesFolder = '/scenes';
const scenesShown = 24;

const tell = (message: FromWorker) => {
  postMessage(message);
};

let trained: PreparedRun | undefined;

addEventListener('message', ({ data }: MessageEvent<ToWorker>) => {
  const work = data.type === 'start' ? train(data) : answer(data);
  work.catch((error: unknown) => {
    tell({ type: 'failed', problem: error instanceof Error ? error.message : String(error) });
  });
});

/** As the demo: the same scenes, settings and steps, so that the segments have the bytes that Node gives them. */
async function train({ seed, effort, corrupted }: StartMessage): Promise<void> {
  const started = performance.now();
  const doing = (what: string, share?: number) => {
    tell({ type: 'doing', what, ...(share === undefined ? {} : { share }) });
  };
  doing('loading the model');
  await loadFiles();
  const kernels = await openKernels({ prefer: 'wasm' });
  const base = await loadModel(modelFolder, { kernels });
  const { file, graph } = await readTaskFile(taskFile);
  fs.mkdirSync(scenesFolder, { recursive: true });
  for await (const { done, total } of writeIovDataset(scenesFolder, { seed, counts: demoCounts(effort) }))
    doing(`drawing ${total} scenes`, done / total);
  if (corrupted !== undefined) {
    const { answer: spec } = graph.getNodeAttributes(corrupted);
    if (spec.type === 'label') corruptLabels(`${scenesFolder}/${corrupted}.train.jsonl`, spec.labels);
  }
  const data = await readTaskData(taskFile, { dataDirectory: scenesFolder });
  const settings = demoSettings({ seed, effort });
  const run = prepareRun(base, data, { settings });
  for await (const { done, total } of run.model.features.warm(imagesOf(data)))
    doing(`looking at ${total} pictures`, done / total);

  const entries: MetricsEntry[] = [];
  const tasksTrained = run.phases.flatMap(({ tasks }) => tasks);
  const totalSteps = tasksTrained.reduce((sum, task) => sum + stepsOfTask(settings.steps, task), 0);
  let [stepSeconds, steps, last, lastView] = [0, 0, performance.now(), 0];
  const show = (isFinished: boolean) => {
    const ended = entries.flatMap((entry) => (entry.type === 'phaseEnd' ? entry.tasks : []));
    const view = viewOfRun(
      {
        directory: 'in this page',
        kind: 'playground',
        model: { name: 'embedded', digests: { configuration: '', tokenizer: '', weights: '' } },
        file,
        graph,
        settings,
        isFinished,
        partition: run.partition,
        phases: run.phases,
        trainedTasks: ended,
      },
      entries,
    );
    const secondsLeft = steps === 0 ? undefined : (stepSeconds / steps) * (totalSteps - steps);
    tell({ type: 'view', view, ...(secondsLeft === undefined ? {} : { secondsLeft }) });
    lastView = performance.now();
  };
  show(false);
  for await (const event of trainRun(run, { settings })) {
    const now = performance.now();
    const entry = entryOf(event);
    if (entry) entries.push(entry);
    if (event.type === 'step') {
      stepSeconds += (now - last) / 1000;
      steps += 1;
      doing(`training ${event.task}, step ${event.step + 1} of ${event.steps}`, steps / totalSteps);
    } else if (event.type === 'evaluated') doing(`measuring ${event.task} on ${event.test}`);
    if (event.type !== 'step' || now - lastView > 250) show(false);
    last = performance.now();
  }
  trained = run;
  show(true);
  tell({ type: 'scenes', scenes: scenesOf(run) });
  const hashes = Object.entries(run.model.segments()).map(([task, segment]) => [task, hashSegment(segment)]);
  tell({
    type: 'ended',
    hashes: Object.fromEntries(hashes) as Record<string, string>,
    seconds: (performance.now() - started) / 1000,
  });
  doing('planning for five boards');
  const { workloads, cluster, simulated } = planForBoards(graph);
  tell({ type: 'plan', plan: { workloads, cluster, plan: simulated.plan } });
}

async function answer({ task, text, image, given }: AskMessage): Promise<void> {
  if (!trained) throw new Error('nothing is trained yet');
  const { model, data } = trained;
  for await (const answers of answerQuestions(model, data.graph, [{ task, text, image, given }]))
    tell({ type: 'answers', answers });
}

/** The first scenes of the decision's test rows. */
function scenesOf({ data }: PreparedRun): SceneView[] {
  const rows = Object.values(data.rows[decisionTask]?.tests ?? {})[0] ?? [];
  return Array.from(rows)
    .slice(0, scenesShown)
    .flatMap(({ image, text, parents, answer: right }) => {
      if (typeof image !== 'string') return [];
      const bytes = Buffer.from(fs.readFileSync(image) as Uint8Array);
      const picture = `data:image/png;base64,${bytes.toString('base64')}`;
      return [{ image, picture, text, right: { ...parents, [decisionTask]: right } }];
    });
}

function entryOf(event: RunEvent): MetricsEntry | undefined {
  if (event.type === 'step' || event.type === 'phaseEnd') return event;
  if (event.type !== 'evaluated') return undefined;
  const { type, task, when, test, accuracy } = event;
  return { type, task, when, test, accuracy, predictionsSha256: '' };
}
