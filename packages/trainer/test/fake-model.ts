import { createHash } from 'node:crypto';

import type { Phase, Prediction, StepResult, TrainableModel } from '@contextlora/trainer';

/** What the fake learns from: the length of the answer. */
export interface FakeExample {
  readonly prompt: string;
  readonly answer: string;
}

/** A model of one number per task: enough to see which tasks were trained, with which data, in which order. */
export class FakeModel implements TrainableModel<FakeExample> {
  readonly weights: Record<string, number> = {};
  readonly calls: string[] = [];
  /** Tasks that steps also write to, although they must not. */
  leaksInto: string[] = [];
  /** Only the steps of this task leak; by default all. */
  leaksDuring: string | undefined;
  /** Tasks whose momentum steps also write to, or which keep it in the phases of others. */
  leaksMomentumInto: string[] = [];
  /** The step of this number, from 1, fails after writing. */
  failsAtStep = Infinity;
  /** What a step reports instead of what it computed; `step` counts from 1. */
  reports: (step: number, task: string) => Partial<StepResult> = () => ({});
  steps = 0;
  hashes = 0;
  #moments: Record<string, number> = {};
  #phase: Phase | undefined;

  constructor(tasks: readonly string[]) {
    for (const task of tasks) this.weights[task] = 0;
  }

  setPhase(phase: Phase): Promise<void> {
    this.#phase = phase;
    this.#moments = Object.fromEntries([...phase.tasks, ...this.leaksMomentumInto].map((task) => [task, 0]));
    this.calls.push(`phase ${phase.tasks.join('+')}`);
    return Promise.resolve();
  }

  step(
    task: string,
    microBatches: readonly (readonly FakeExample[])[],
    { learningRate }: { learningRate: number },
  ) {
    const examples = microBatches.flat();
    const gradient = examples.reduce((sum, { answer }) => sum + answer.length, 0) / examples.length;
    this.#moments[task] = 0.9 * (this.#moments[task] ?? NaN) + gradient;
    const trained = Object.entries(this.#phase?.roles[task] ?? {}).filter(([, role]) => role === 'train');
    for (const [id] of trained)
      this.weights[id] = (this.weights[id] ?? 0) - learningRate * (this.#moments[task] ?? 0);
    if (task === (this.leaksDuring ?? task))
      for (const id of this.leaksInto) this.weights[id] = (this.weights[id] ?? 0) + 1e-9;
    for (const id of this.leaksMomentumInto)
      if (id !== task && task === (this.leaksDuring ?? task))
        this.#moments[id] = (this.#moments[id] ?? 0) + 1e-9;
    const batches = microBatches.map((batch) => batch.map(({ prompt }) => prompt).join(' '));
    this.calls.push(`step ${task}: ${batches.join(' | ')}`);
    if (++this.steps === this.failsAtStep) return Promise.reject(new Error('out of memory'));
    const result = { loss: Math.abs(gradient), tokens: examples.length, gradientNorm: gradient };
    return Promise.resolve({ ...result, ...this.reports(this.steps, task) });
  }

  predict(task: string, examples: readonly FakeExample[]): Promise<Prediction[]> {
    return Promise.resolve(examples.map(({ prompt }) => ({ answer: `${task}(${prompt})` })));
  }

  hashSegment(task: string): Promise<string> {
    this.hashes += 1;
    const bytes = Buffer.from(Float64Array.of(this.weights[task] ?? 0).buffer);
    return Promise.resolve(createHash('sha256').update(bytes).digest('hex'));
  }

  hashOptimizer(task: string): Promise<string | undefined> {
    const moment = this.#moments[task];
    return Promise.resolve(moment === undefined ? undefined : `moment ${moment}`);
  }

  saveState(): Promise<Record<string, Uint8Array>> {
    const state = JSON.stringify({ weights: this.weights, moments: this.#moments });
    return Promise.resolve({ 'state.json': Buffer.from(state) });
  }

  restoreState(files: Readonly<Record<string, Uint8Array>>): Promise<void> {
    const { weights, moments } = JSON.parse(Buffer.from(files['state.json'] ?? '').toString()) as {
      weights: Record<string, number>;
      moments: Record<string, number>;
    };
    Object.assign(this.weights, weights);
    this.#moments = moments;
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}
