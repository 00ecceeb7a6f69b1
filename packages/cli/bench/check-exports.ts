/**
 * Whether transformers and PEFT compute what a run does: exports the tasks of a run merged and as PEFT adapters, gives both and us the first
 * test row of each task, and compares the logits after the prompt. Exits with 1 if they are not equal.
 *
 * Usage: npm run check:exports -- RUN [--python python3] [--json FILE]; Python needs torch, transformers and peft.
 */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { exampleOfGraph, openRun, readTestSets } from '@contextlora/finetune';
import { openKernels } from '@contextlora/kernels';
import { composeTask } from '@contextlora/lora';
import { writeSafetensors, writeWhole } from '@contextlora/lora/files';
import { float32Tensor } from '@contextlora/lora/safetensors';
import {
  languageLogits,
  loadModel,
  openImageFeatures,
  promptIds,
  readImage,
  withAdapter,
} from '@contextlora/model';
import { renderInstruction } from '@contextlora/task-graph';

import { embeddedScenario } from '@contextlora/benchmarks';
import { processWorld, runCommandLine } from '@contextlora/cli';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { python: { type: 'string', default: 'python3' }, json: { type: 'string' } },
});
const [directory] = positionals;
if (directory === undefined) throw new Error('name a run: npm run check:exports -- demo-output');
/** Largest difference of a logit, relative to the largest logit. */
const tolerance = 1e-4;
const run = await openRun(directory);
const data = await readTestSets(run, { tasks: run.trainedTasks, dataDirectory: run.dataDirectory });
const modelPath = run.model.path ?? embeddedScenario().modelDirectory;
const base = await loadModel(modelPath, { kernels: await openKernels() });
const features = openImageFeatures(base);
const folder = await mkdtemp(join(tmpdir(), 'check-exports-'));
try {
  const world = processWorld(process, { version: 'check' });
  for (const format of ['merged', 'peft']) {
    const code = await runCommandLine(
      ['export', directory, '--format', format, '--out', join(folder, format), '--model', modelPath],
      world,
    );
    if (code !== 0) throw new Error(`export --format ${format} ended with ${code}`);
  }
  const cases: object[] = [];
  for (const task of run.trainedTasks) {
    const [row] = Object.values(data.rows[task]?.tests ?? {})[0] ?? [];
    if (!row) continue;
    const spec = run.graph.getNodeAttributes(task);
    const prompt = renderInstruction(spec, { text: row.text, answers: row.parents });
    const example = exampleOfGraph(run.graph)(task, prompt, row);
    const ids = promptIds(base, example);
    const [image] = example.image === undefined ? [] : await features.get([example.image]);
    const adapted = withAdapter(base, { modules: composeTask(run.partition, run.segments, task) });
    const logits = languageLogits(
      adapted.model,
      { batch: 1, time: ids.length, ids: Int32Array.from(ids), images: [image] },
      { head: { rows: Int32Array.of(ids.length - 1) }, segments: adapted.segments },
    );
    const ours = Float32Array.from(logits.dataSync());
    logits.dispose();
    adapted.dispose();
    const file = join(folder, `${task}.safetensors`);
    const size = base.spec.vision?.imageSizePixels ?? 0;
    await writeSafetensors(file, [
      ['logits', float32Tensor([ours.length], ours)],
      ...(example.image !== undefined && base.spec.vision
        ? [
            [
              'pixels',
              float32Tensor([3, size, size], await readImage(example.image, base.spec.vision)),
            ] as const,
          ]
        : []),
    ]);
    cases.push({
      task,
      ids,
      file,
      base: modelPath,
      architecture: base.spec.architecture,
      merged: join(folder, 'merged', task),
      peft: join(folder, 'peft', task),
    });
  }
  const list = join(folder, 'cases.json');
  await writeFile(list, JSON.stringify(cases));
  const { status, stdout, stderr, error } = spawnSync(
    values.python,
    [join(import.meta.dirname, 'check_exports.py'), list],
    { encoding: 'utf8' },
  );
  if (status !== 0)
    throw new Error(
      `check_exports.py failed with ${values.python}: ${error?.message ?? stderr.trim().split('\n').at(-1) ?? ''}; --python takes another interpreter`,
    );
  const results = JSON.parse(stdout.trim().split('\n').at(-1) ?? '[]') as {
    task: string;
    merged: number;
    peft: number;
    effect: number;
  }[];
  for (const { task, merged, peft, effect } of results)
    console.log(
      `${task}: relative difference of the logits from ours: merged ${merged.toExponential(1)}, PEFT ${peft.toExponential(1)}; effect of the adapter ${effect.toExponential(1)}`,
    );
  if (values.json) await writeWhole(values.json, `${JSON.stringify(results, null, 2)}\n`);
  const isEqual = results.every(({ merged, peft }) => merged <= tolerance && peft <= tolerance);
  if (results.length === 0 || results.length !== cases.length || !isEqual) process.exitCode = 1;
} finally {
  base.dispose();
  await rm(folder, { recursive: true, force: true });
}
