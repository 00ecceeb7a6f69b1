/** AdamW over the trained segments of a task, and what it must not be given. */
import type { Kernels } from '@contextlora/kernels';

import { listProblems, ModelError } from '../model-error.js';
import type { TrainedParameters } from './trained-parameters.js';

export interface OptimizerOptions {
  /** In [0, 1). */
  readonly beta1?: number;
  /** In [0, 1). */
  readonly beta2?: number;
  /** Above 0. */
  readonly epsilon?: number;
  /** 0 or more; times the learning rate below 1. */
  readonly weightDecay?: number;
  /** The largest global norm of the trained segment's gradient, above 0; Infinity for no limit. */
  readonly clipNorm?: number;
}

export type Optimizer = Required<OptimizerOptions>;

/**
 * Completes the options.
 *
 * @throws ModelError (`MODEL_INPUT_INVALID`) with every option out of its range.
 */
export function optimizerOf({
  beta1 = 0.9,
  beta2 = 0.99,
  epsilon = 1e-8,
  weightDecay = 0,
  clipNorm = 1,
}: OptimizerOptions = {}): Optimizer {
  const isBeta = (value: number) => value >= 0 && value < 1;
  const problems = [
    ...(isBeta(beta1) ? [] : [`beta1 must be at least 0 and below 1, got ${beta1}`]),
    ...(isBeta(beta2) ? [] : [`beta2 must be at least 0 and below 1, got ${beta2}`]),
    ...(epsilon > 0 && epsilon < 1 ? [] : [`epsilon must be above 0 and below 1, got ${epsilon}`]),
    ...(weightDecay >= 0 && weightDecay < Infinity
      ? []
      : [`weightDecay must be 0 or more, got ${weightDecay}`]),
    ...(clipNorm > 0 ? [] : [`clipNorm must be above 0, got ${clipNorm}`]),
  ];
  if (problems.length > 0)
    throw new ModelError(
      'MODEL_INPUT_INVALID',
      'createLocalModel',
      listProblems('these options of the optimizer make no sense:', problems),
    );
  return { beta1, beta2, epsilon, weightDecay, clipNorm };
}

/** Checks the rate of a step before anything is computed. @throws ModelError (`MODEL_INPUT_INVALID`). */
export function requireLearningRate(learningRate: number, { weightDecay }: Optimizer): void {
  if (!(learningRate >= 0 && learningRate < Infinity))
    throw new ModelError(
      'MODEL_INPUT_INVALID',
      'step',
      `the learning rate must be 0 or more, got ${learningRate}`,
    );
  if (learningRate * weightDecay >= 1)
    throw new ModelError(
      'MODEL_INPUT_INVALID',
      'step',
      `learning rate ${learningRate} times weight decay ${weightDecay} must be below 1, or each step would turn every number round`,
    );
}

/** One step of the optimizer on the trained segments, with `gradientScale` times their gradients. */
export function applyUpdate(
  kernels: Pick<Kernels, 'adamW'>,
  trained: TrainedParameters,
  {
    learningRate,
    gradientScale,
    optimizer: { beta1, beta2, epsilon, weightDecay },
  }: { learningRate: number; gradientScale: number; optimizer: Optimizer },
): void {
  const { parameters, gradients, moments } = trained;
  trained.step += 1;
  kernels.adamW(parameters, gradients, moments.first, moments.second, {
    beta1,
    beta2,
    epsilon,
    weightDecay,
    learningRate,
    gradientScale,
    step: trained.step,
  });
}
