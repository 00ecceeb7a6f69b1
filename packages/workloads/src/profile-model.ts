/** What this machine does with a model: rates by kind of work, and what a step takes beside its products. */
import { measuredDevice, type MeasuredRates, measureRates } from '@contextlora/jetson';
import { partitionRanks } from '@contextlora/lora';
import { linearsOf, type LoadedModel, promptIds } from '@contextlora/model';

import { measuredLayer } from './measured-layer.js';
import { stepOverhead } from './step-overhead.js';

export interface ProfileModelOptions {
  /** Monotonic seconds. */
  readonly clock: () => number;
  /** For the rates; the overhead takes ten steps of one sample more. */
  readonly budgetSeconds: number;
  /** Of one sample. */
  readonly tokens: number;
  /** Samples of a pass: give those of the micro-batches that will be trained. */
  readonly batch?: number;
  /** Of the segment that trains in every linear layer. */
  readonly rank: number;
  /** Processor time of this process so far: what had to wait for a processor does not count, where the rest is enough. */
  readonly cpuSeconds?: () => number;
}

export interface ModelProfile {
  readonly rates: MeasuredRates;
  readonly overheadSeconds: number;
}

/** Measures the first decoder layer, and whole steps of one sample of (about) as many tokens. */
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
    phases: [{ tasks: [task], roles: { [task]: { [task]: 'train' } } }],
    task,
    example,
    shape: { tokens: promptIds(base, example).length, answered: 1, columns: labels.length },
    device: measuredDevice(rates, { id: 'this machine', memoryBytes: 1 }),
    clock,
    cpuSeconds,
  });
  return { rates, overheadSeconds };
}

/** Digits that become about so many tokens, whatever the tokenizer makes of them. */
function promptOf(base: LoadedModel, tokens: number): string {
  const digits = (count: number) => Array.from({ length: count }, (_, i) => String(i % 10)).join(' ');
  const asked = Math.min(tokens, base.spec.text.maximumPositions - 1);
  const found = promptIds(base, { prompt: digits(asked) }).length;
  return digits(Math.max(1, Math.floor((asked * asked) / found)));
}
