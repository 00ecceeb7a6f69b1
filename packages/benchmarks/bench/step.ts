/**
 * Times one training step of the embedded model on every backend, interleaved, and prints the ratios.
 * Usage: npm run bench:step -- [--json FILE] [--steps N]
 */
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';

import { openKernels } from '@contextlora/kernels';
import { initialiseSegments, partitionRanks } from '@contextlora/lora';
import { writeWhole } from '@contextlora/lora/files';
import { createLocalModel, linearsOf, loadModel, type Example } from '@contextlora/model';
import { buildTaskGraph, type TaskSpec } from '@contextlora/task-graph';
import { rolesOf } from '@contextlora/trainer';

const { values } = parseArgs({
  options: { json: { type: 'string' }, steps: { type: 'string', default: '15' } },
});
const directory = join(dirname(import.meta.dirname), 'models/iov-base');
const labels = ['accelerate', 'keep', 'slow', 'stop', 'yield', 'detour'];
const task = (id: string, ...dependsOn: string[]): TaskSpec => ({
  id,
  dependsOn,
  instruction: '?',
  inputs: ['text'],
  answer: { type: 'label', labels },
  data: {},
});
const tasks = [
  task('vehicle'),
  task('weather'),
  task('road', 'weather'),
  task('strategy', 'vehicle', 'weather', 'road'),
];
const graph = buildTaskGraph(tasks);
// 16 examples about as long as the decision's prompt with its image tokens.
const batch = Array.from({ length: 16 }, (_, i): Example => ({
  prompt:
    'limit 80 . traffic close . weather fog . road icy . limit 80 . traffic close . weather fog . road icy . what ?',
  answer: labels[i % labels.length] ?? '',
  labels,
}));

const names = ['onnx', 'wasm', 'reference'] as const;
const backends = await Promise.all(
  names.map(async (backend) => {
    const base = await loadModel(directory, { kernels: await openKernels({ prefer: backend }) });
    const partition = partitionRanks(linearsOf(base.spec), tasks, { rank: 32 });
    const model = createLocalModel(base, { partition, segments: initialiseSegments(partition, { seed: 0 }) });
    return { backend, model };
  }),
);
const results: Record<string, Record<string, number>> = {};
for (const id of ['vehicle', 'strategy']) {
  const times = new Map(names.map((backend) => [backend, [] as number[]]));
  for (const { model } of backends)
    await model.setPhase({ tasks: [id], roles: { [id]: rolesOf(graph, id) } });
  for (let i = 0; i < Number(values.steps) + 2; i++)
    for (const { backend, model } of backends) {
      const start = performance.now();
      await model.step(id, [batch], { learningRate: 1e-3 });
      // The first two runs create sessions and warm caches.
      if (i >= 2) times.get(backend)?.push(performance.now() - start);
    }
  const median = (backend: (typeof names)[number]) =>
    [...(times.get(backend) ?? [])].sort((a, b) => a - b)[Math.floor(Number(values.steps) / 2)] ?? NaN;
  const slowest = median('reference');
  results[id] = Object.fromEntries(names.map((backend) => [`${backend}Milliseconds`, median(backend)]));
  const shown = names.map(
    (backend) =>
      `${backend} ${median(backend).toFixed(0)} ms (ratio to reference ${(median(backend) / slowest).toFixed(2)})`,
  );
  console.log(`${id.padEnd(9)} ${id === 'vehicle' ? '1 segment ' : '4 segments'}  ${shown.join('  ')}`);
}
if (values.json) await writeWhole(values.json, `${JSON.stringify(results, null, 2)}\n`);
