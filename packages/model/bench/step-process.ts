/** This project in `npm run bench:kernels`, with the same protocol as peer.py. */
import { createInterface } from 'node:readline';

import { openKernels, type Kernels } from '@contextlora/kernels';
import { initialiseSegments, partitionRanks } from '@contextlora/lora';
import { type BaseFormat, createLocalModel, linearsOf, type Example } from '@contextlora/model';

import { ones, type Rank } from '@contextlora/kernels/tfjs';

import { randomModel } from './random-model.js';
import { benchCases } from './shapes.js';
import { timedKernels } from './timed-kernels.js';

export interface StepSettings {
  readonly name: string;
  readonly threads: number;
  readonly rank: number;
  readonly backend: Kernels['backend'];
  readonly base: Exclude<BaseFormat, 'stored'>;
}

const say = (message: object) => {
  process.stdout.write(`${JSON.stringify(message)}\n`);
};
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const settings = JSON.parse(String((await lines.next()).value)) as StepSettings;
const found = benchCases.find(({ name }) => name === settings.name);
if (!found) throw new Error(`there is no case "${settings.name}"`);
const { text, batch, time } = found;

const { kernels, take } = timedKernels(
  await openKernels({ prefer: settings.backend, threads: settings.threads }),
);
const ceiling = productFlopsPerSecond(kernels);
const base = randomModel(text, kernels, settings.base);
const id = 'task';
const partition = partitionRanks(linearsOf(base.spec), [{ id, dependsOn: [] }], { rank: settings.rank });
const segments = initialiseSegments(partition, { seed: 0 });
const model = createLocalModel(base, { partition, segments, maximumNewTokens: time });
await model.setPhase({ tasks: [id], roles: { [id]: { [id]: 'train' } } });
// The begin token and `time` − 1 answer tokens are read; every position has a target, the last one the end token.
const examples = Array.from({ length: batch }, (_, row): Example => ({
  prompt: '',
  answer: Array.from({ length: time - 1 }, (_, i) => (row * 7919 + i * 104_729) % text.vocabularySize).join(
    ' ',
  ),
}));
say({
  productFlopsPerSecond: ceiling,
  ready: `node ${process.versions.node}, backend ${kernels.backend}, base ${settings.base}`,
  trainedParameters: Object.values(segments[id] ?? {}).reduce(
    (sum, { a, b }) => sum + a.length + b.length,
    0,
  ),
});
for (;;) {
  const line = await lines.next();
  if (line.done || line.value !== 'step') break;
  take();
  const start = performance.now();
  const { loss } = await model.step(id, [examples], { learningRate: 1e-4 });
  const milliseconds = performance.now() - start;
  say({ milliseconds, peakBytes: process.resourceUsage().maxRSS * 1024, loss, operations: take() });
}
process.exit(0);

/** The fastest of a few large square products: the limit of this side's matrix kernel on this machine. */
function productFlopsPerSecond(on: Kernels): number {
  const size = 1024;
  const weight = on.prepareLinear(new Float32Array(size * size).fill(0.5), size, size);
  const x = ones<Rank.R2>([size, size]);
  const seconds = Array.from({ length: 7 }, () => {
    const start = performance.now();
    const { y, saved } = on.linear(x, weight);
    const taken = (performance.now() - start) / 1000;
    saved.dispose();
    y.dispose();
    return taken;
  });
  weight.dispose();
  x.dispose();
  return (2 * size ** 3) / Math.min(...seconds);
}
