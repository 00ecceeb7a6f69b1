/** The training examples of a task, and those of one step. */
import { TrainerError } from '../trainer-error.js';

/** Examples that are made when a step draws them: because they are too many to keep, or because they differ from step to step. */
export interface ExampleSource<Example> {
  readonly length: number;
  /**
   * The examples of a step (from 0) at `indices`, in their order. A pure function of both: a resumed run draws the same again.
   */
  draw(indices: readonly number[], step: number): readonly Example[] | Promise<readonly Example[]>;
}

/** A list as a source; a source stays as it is. */
export function exampleSource<Example>(
  examples: readonly Example[] | ExampleSource<Example>,
): ExampleSource<Example> {
  return 'draw' in examples
    ? examples
    : { length: examples.length, draw: (indices) => indices.flatMap((index) => examples[index] ?? []) };
}

/**
 * The drawn examples of a step.
 *
 * @throws TrainerError (`TRAINER_INPUT_INVALID`) when the source has no example for an index, or none was asked for.
 */
export async function drawBatch<Example>(
  source: ExampleSource<Example>,
  drawn: readonly number[],
  { task, step }: { readonly task: string; readonly step: number },
): Promise<readonly Example[]> {
  const batch = await source.draw(drawn, step);
  if (batch.length === drawn.length && batch.length > 0) return batch;
  throw new TrainerError(
    'TRAINER_INPUT_INVALID',
    'train',
    `a batch of task "${task}" asks for examples that do not exist: ${drawn.join(', ')} of ${source.length}`,
  );
}
