/** The demo's inputs: the embedded scenario and base model, and the training settings. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import type { TrainSettings } from '@contextlora/finetune';

/** The task that reads the others' answers and has few labelled scenes; methods are compared on it. */
export const decisionTask = 'strategy';

/** Chosen for the joint LoRA of rank 32 in a prototype of the same scenes (docs/decisions.md). */
export const jointLearningRate = 1e-3;

/** Settings of which every task has the same rank and rate, as the baselines need them. */
export interface DemoSettings extends TrainSettings {
  readonly rank: number;
  readonly learningRate: number;
}

/** The learning rate comes from a prototype of the same scenes (docs/decisions.md); nothing was tuned on this run's data. */
export const demoSettings = ({ seed, effort }: { seed: number; effort: number }): DemoSettings => ({
  seed,
  rank: 32,
  batchSize: 16,
  learningRate: 3e-3,
  steps: {
    vehicle: Math.max(1, Math.round(250 * effort)),
    weather: Math.max(1, Math.round(100 * effort)),
    road: Math.max(1, Math.round(250 * effort)),
    strategy: Math.max(1, Math.round(250 * effort)),
  },
});

/** The name by which a run of the demo knows its base, which is part of this package. */
export const embeddedName = 'embedded';

/** Paths of the scenario's task file and of the base model's directory, both part of this package. */
export function embeddedScenario(): { readonly taskFile: string; readonly modelDirectory: string } {
  const require = createRequire(import.meta.url);
  const root = dirname(require.resolve('@contextlora/benchmarks/package.json'));
  return {
    taskFile: join(root, 'scenarios/iov/tasks.yaml'),
    modelDirectory: join(root, 'models/iov-base'),
  };
}
