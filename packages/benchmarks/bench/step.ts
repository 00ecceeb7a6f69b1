/**
 * Times one training step of the embedded model on both grounds, interleaved, and prints the ratio.
 * Usage: npm run bench:step -- [--json FILE] [--steps N]
 */
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';

import { openKernels } from '@contextlora/kernels';
import { initialiseSegments, partitionRanks, writeWhole } from '@contextlora/lora';
import { createLocalModel, linearsOf, loadModel, type ModelExample } from '@contextlora/model';
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
// 16 rows of about the length of the decision's prompt with its image tokens.
const batch = Array.from({ length: 16 }, (_, i): ModelExample => ({
  prompt:
    'limit 80 . traffic close . weather fog . road icy . limit 80 . traffic close . weather fog . road icy . what ?',
  answer: labels[i % labels.length] ?? '',
  labels,
}));

const grounds = await Promise.all(
  (['onnx', 'reference'] as const).map(async (ground) => {
    const base = await loadModel(directory, { kernels: await openKernels({ prefer: ground }) });
    const partition = partitionRanks(linearsOf(base.spec), tasks, { rank: 32 });
    const model = createLocalModel(base, { partition, segments: initialiseSegments(partition, { seed: 0 }) });
    return { ground, model };
  }),
);
const results: Record<string, Record<string, number>> = {};
for (const id of ['vehicle', 'strategy']) {
  const times = new Map(grounds.map(({ ground }) => [ground, [] as number[]]));
  for (const { model } of grounds) await model.setPhase({ tasks: [id], roles: { [id]: rolesOf(graph, id) } });
  for (let i = 0; i < Number(values.steps) + 2; i++)
    for (const { ground, model } of grounds) {
      const start = performance.now();
      await model.step(id, [batch], { learningRate: 1e-3 });
      // The first two runs make sessions and warm caches.
      if (i >= 2) times.get(ground)?.push(performance.now() - start);
    }
  const median = (ground: 'onnx' | 'reference') =>
    [...(times.get(ground) ?? [])].sort((a, b) => a - b)[Math.floor(Number(values.steps) / 2)] ?? NaN;
  const [fast, slow] = [median('onnx'), median('reference')];
  results[id] = { onnxMilliseconds: fast, referenceMilliseconds: slow, ratio: fast / slow };
  console.log(
    `${id.padEnd(9)} ${id === 'vehicle' ? '1 segment ' : '4 segments'}  onnx ${fast.toFixed(0)} ms  ` +
      `reference ${slow.toFixed(0)} ms  ratio ${(fast / slow).toFixed(2)}`,
  );
}
if (values.json) await writeWhole(values.json, `${JSON.stringify(results, null, 2)}\n`);
