/**
 * Times a whole LoRA step (forward, backward, clipping, AdamW) of the reference backend over WebGPU; ends with a message if there is none.
 * Usage: npm run bench:webgpu -- [--case a,b1] [--steps N] [--json FILE]
 */
import { parseArgs } from 'node:util';

import { openWebGpu } from '@contextlora/kernels';
import { initialiseSegments, partitionRanks } from '@contextlora/lora';
import { writeWhole } from '@contextlora/lora/files';
import { createLocalModel, linearsOf, type Example } from '@contextlora/model';

import { randomModel } from './random-model.js';
import { type BenchCase, benchCases, stepFlops } from './shapes.js';

const { values } = parseArgs({
  options: {
    case: { type: 'string', default: 'a' },
    steps: { type: 'string', default: '5' },
    json: { type: 'string' },
  },
});
const rank = 8;
const warmUpSteps = 2;
const id = 'task';

const opened = await openWebGpu();
if (typeof opened === 'string') {
  console.log(`notice: WebGPU is not measured; ${opened}`);
  process.exit(0);
}
const { kernels, adapter } = opened;
const results: Record<string, unknown>[] = [];
const wanted = values.case.split(',');
for (const bench of benchCases.filter(({ name }) => wanted.includes(name)))
  results.push(await measure(bench));
if (values.json) await writeWhole(values.json, `${JSON.stringify({ adapter, results }, null, 2)}\n`);

async function measure(bench: BenchCase): Promise<Record<string, unknown>> {
  const { name, text, batch, time } = bench;
  const base = randomModel(text, kernels, 'f32');
  const partition = partitionRanks(linearsOf(base.spec), [{ id, dependsOn: [] }], { rank });
  const model = createLocalModel(base, { partition, segments: initialiseSegments(partition, { seed: 0 }) });
  await model.setPhase({ tasks: [id], roles: { [id]: { [id]: 'train' } } });
  const examples = Array.from({ length: batch }, (_, row): Example => {
    const tokenIds = Array.from({ length: time - 1 }, (__, i) => (row * 31 + i * 7) % text.vocabularySize);
    return { prompt: '', answer: tokenIds.join(' ') };
  });
  const times: number[] = [];
  const losses: number[] = [];
  // The first steps compile the shaders.
  for (let i = 0; i < Number(values.steps) + warmUpSteps; i++) {
    const start = performance.now();
    const { loss } = await model.step(id, [examples], { learningRate: 1e-4 });
    losses.push(loss);
    if (i >= warmUpSteps) times.push(performance.now() - start);
  }
  const medianMilliseconds = [...times].sort((x, y) => x - y)[Math.floor(times.length / 2)] ?? NaN;
  const flopsPerSecond = stepFlops(bench, rank) / (medianMilliseconds / 1000);
  console.log(
    `${name.padEnd(3)} ${batch}x${time}  ${medianMilliseconds.toFixed(0)} ms (fastest ${Math.min(...times).toFixed(0)}), ` +
      `${(flopsPerSecond / 1e9).toFixed(1)} GF/s  loss ${losses[0]?.toFixed(3)} -> ${losses.at(-1)?.toFixed(3)}  on ${adapter}`,
  );
  return { case: name, batch, time, medianMilliseconds, flopsPerSecond, losses };
}
