/**
 * Trains what the playground trains, in Node on the wasm kernels, and prints the SHA-256 of each segment: the page must print the same.
 * The scenes are drawn by the wasm build of resvg, as in the page: the native one differs in a few pixels of about one scene in 240.
 * Usage: node --conditions @contextlora/source --import tsx playground/train-in-node.ts --effort 0.1 --seed 0
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire, register } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { prepareRun, readTaskData, trainRun } from '@contextlora/finetune';
import { openKernels } from '@contextlora/kernels';
import { hashSegment } from '@contextlora/lora/files';
import { loadModel } from '@contextlora/model';
import { initWasm } from '@resvg/resvg-wasm';

const shim = JSON.stringify(new URL('src/shims/resvg.ts', import.meta.url).href);
const hooks = `export const resolve = (name, context, next) => next(name === '@resvg/resvg-js' ? ${shim} : name, context);`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
await initWasm(await readFile(createRequire(import.meta.url).resolve('@resvg/resvg-wasm/index_bg.wasm')));
const { demoCounts, demoSettings, embeddedScenario, writeIovDataset } =
  await import('@contextlora/benchmarks');

const { values } = parseArgs({
  options: { effort: { type: 'string', default: '0.1' }, seed: { type: 'string', default: '0' } },
});
const [effort, seed] = [Number(values.effort), Number(values.seed)];
const { taskFile, modelDirectory } = embeddedScenario();
const folder = await mkdtemp(join(tmpdir(), 'contextlora-playground-'));
try {
  await toEnd(writeIovDataset(folder, { seed, counts: demoCounts(effort) }));
  const base = await loadModel(modelDirectory, { kernels: await openKernels({ prefer: 'wasm' }) });
  const data = await readTaskData(taskFile, { dataDirectory: folder });
  const settings = demoSettings({ seed, effort });
  const run = prepareRun(base, data, { settings });
  await toEnd(trainRun(run, { settings }));
  const hashes = Object.entries(run.model.segments()).map(([task, segment]) => [task, hashSegment(segment)]);
  console.log(JSON.stringify(Object.fromEntries(hashes)));
  base.dispose();
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function toEnd(events: AsyncGenerator<unknown, unknown>): Promise<void> {
  while (!(await events.next()).done);
}
