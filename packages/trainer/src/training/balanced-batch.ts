/** Batches in which every class comes up equally often. */
import { TrainerError } from '../trainer-error.js';
import { sampleBatch, type SampleBatch } from './sample-batch.js';

/**
 * The classes take turns, whatever their sizes; the examples of a small class are repeated more often. Each class is sampled as
 * `sampleBatch` does, keyed by (seed, task/class, epoch); `classes` has one per example.
 */
export function balancedBatch(classes: readonly string[]): SampleBatch {
  const members = new Map<string, number[]>();
  for (const [index, name] of classes.entries()) members.set(name, [...(members.get(name) ?? []), index]);
  const names = [...members.keys()].sort();
  return (exampleCount, batchSize, { seed, task, step }) => {
    if (exampleCount !== classes.length || names.length === 0)
      throw new TrainerError(
        'TRAINER_INPUT_INVALID',
        'balancedBatch',
        `task "${task}" has ${exampleCount} training examples, but ${classes.length} classes were given`,
      );
    return Array.from({ length: batchSize }, (_, offset) => {
      const turn = step * batchSize + offset;
      const name = names[turn % names.length] ?? '';
      const own = members.get(name) ?? [];
      const key = { seed, task: `${task}/${name}`, step: Math.floor(turn / names.length) };
      const [drawn = 0] = sampleBatch(own.length, 1, key);
      return own[drawn] ?? 0;
    });
  };
}
