/** How fast this machine runs a model: rates by kind of work, and the overhead of a layer. */
import { measuredDevice, type MeasuredRates, measureRates } from '@contextlora/jetson';
import { partitionRanks } from '@contextlora/lora';
import { linearsOf, type LoadedModel, promptIds } from '@contextlora/model';

import { measuredLayer } from './measured-layer.js';
import { sampleShapeOf } from './sample-shape.js';
import { stepOverhead } from './step-overhead.js';

export interface ProfileModelOptions {
  /** Monotonic seconds. */
  readonly clock: () => number;
  /** Limit for the rates; the overhead takes ten more steps of one sample. */
  readonly budgetSeconds: number;
  /** Per sample. */
  readonly tokens: number;
  /** Samples per pass: as many as in the micro-batches that will be trained. */
  readonly batch?: number;
  /** Ranks of the trained segment in every linear layer. */
  readonly rank: number;
  /** Processor seconds of this process so far. With it, passes that had to wait for a processor are left out if enough others remain. */
  readonly cpuSeconds?: () => number;
}

export interface ModelProfile {
  readonly rates: MeasuredRates;
  readonly overheadSeconds: number;
}

/** Measures the first decoder layers, and whole steps of one sample with about as many tokens. */
export async function profileModel(
  base: LoadedModel,
  { clock, budgetSeconds, tokens, batch = 1, rank, cpuSeconds }: ProfileModelOptions,
): Promise<ModelProfile> {
  const layer = measuredLayer(base, { rank, batch });
  let rates: MeasuredRates;
  try {
    rates = measureRates(layer, {
      clock,
      budgetSeconds,
      tolerance: 0.05,
      tokens,
      ...(cpuSeconds && { cpuSeconds }),
    });
  } finally {
    layer.dispose();
  }
  const task = 'profile';
  const partition = partitionRanks(
    linearsOf(base.spec).filter(({ layerIndex }) => layerIndex !== undefined),
    [{ id: task, dependsOn: [] }],
    { rank },
  );
  const labels = ['1', '2'];
  const example = { prompt: promptOf(base, tokens), answer: '1', labels };
  const overheadSeconds = await stepOverhead(base, {
    partition,
    phase: { tasks: [task], roles: { [task]: { [task]: 'train' } } },
    task,
    example,
    shape: sampleShapeOf(base, [example]),
    device: measuredDevice(rates, { id: 'this machine', memoryBytes: 1 }),
    clock,
    cpuSeconds,
  });
  return { rates, overheadSeconds };
}

/** Digits that any tokenizer turns into about this many tokens. */
function promptOf(base: LoadedModel, tokens: number): string {
  const digits = (count: number) => Array.from({ length: count }, (_, i) => String(i % 10)).join(' ');
  const asked = Math.min(tokens, base.spec.text.maximumPositions - 1);
  const found = promptIds(base, { prompt: digits(asked) }).length;
  return digits(Math.max(1, Math.floor((asked * asked) / found)));
}
