/** The steps that a model takes at once: their examples are drawn, they are taken, and their results are watched. */
import type { SampleBatch } from './sample-batch.js';
import { drawBatch, exampleSource, type ExampleSource } from './example-source.js';
import type { LearningRate } from './learning-rate.js';
import { microBatchesOf } from './micro-batches.js';
import type { StepResult, TaskStep, TrainableModel } from './trainable-model.js';
import type { Turn } from './turns-of-phase.js';
import { watchTraining } from './watch-training.js';

export interface TakenStep extends Turn, StepResult {
  /** Of the task in its phase. */
  readonly steps: number;
  readonly learningRate: number;
}

export interface RoundOptions<Example> {
  readonly sources: ReadonlyMap<string, ExampleSource<Example>>;
  readonly stepsOf: (task: string) => number;
  readonly sample: SampleBatch;
  readonly seed: number;
  readonly batchSize: number;
  readonly microBatches: number;
  readonly learningRate: LearningRate;
}

/** For the rounds of a phase, one after the other. @throws what `watchTraining` throws. */
export function openRounds<Example>(
  model: Pick<TrainableModel<Example>, 'step' | 'stepTogether'>,
  { sources, stepsOf, sample, seed, batchSize, microBatches, learningRate }: RoundOptions<Example>,
): (round: readonly Turn[]) => Promise<TakenStep[]> {
  const watch = watchTraining();
  return async (round) => {
    const drawn: (TaskStep<Example> & { readonly examples: readonly number[] })[] = [];
    for (const { task, step } of round) {
      const source = sources.get(task) ?? exampleSource([]);
      const examples = sample(source.length, batchSize, { seed, task, step });
      const batch = microBatchesOf(await drawBatch(source, examples, { task, step }), microBatches);
      drawn.push({
        task,
        microBatches: batch,
        learningRate: learningRate(step, stepsOf(task), task),
        examples,
      });
    }
    const results = await takeAll(
      model,
      drawn.map(({ task, microBatches: batch, learningRate: rate }) => ({
        task,
        microBatches: batch,
        learningRate: rate,
      })),
    );
    return round.map(({ task, step }, index) => {
      const { learningRate: rate, examples } = drawn[index]!;
      const place = { task, step, steps: stepsOf(task), learningRate: rate };
      watch(results[index]!, { ...place, examples });
      return { ...place, ...results[index]! };
    });
  };
}

async function takeAll<Example>(
  model: Pick<TrainableModel<Example>, 'step' | 'stepTogether'>,
  steps: readonly TaskStep<Example>[],
): Promise<readonly StepResult[]> {
  if (steps.length > 1 && model.stepTogether) return model.stepTogether(steps);
  const results: StepResult[] = [];
  for (const { task, microBatches, learningRate } of steps)
    results.push(await model.step(task, microBatches, { learningRate }));
  return results;
}
