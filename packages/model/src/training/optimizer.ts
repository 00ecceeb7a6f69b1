/** The optimizer of the trained segments of a task: AdamW, SGD or Lion, and what it must not be given. */
import { type Kernels, lion, sgd } from '@contextlora/kernels';

import { listProblems, ModelError } from '../model-error.js';
import type { Moment, TrainedParameters } from './trained-parameters.js';

/** Its default is AdamW. */
export type OptimizerMethod = 'adamw' | 'sgd' | 'lion';

export interface OptimizerOptions {
  /** @default 'adamw' */
  readonly method?: OptimizerMethod;
  /** Of AdamW and Lion, in [0, 1). @default 0.9 */
  readonly beta1?: number;
  /** Of AdamW and Lion, in [0, 1). @default 0.99 */
  readonly beta2?: number;
  /** Of AdamW, above 0. @default 1e-8 */
  readonly epsilon?: number;
  /** Of SGD, in [0, 1). @default 0 */
  readonly momentum?: number;
  /** Of SGD with momentum. @default false */
  readonly nesterov?: boolean;
  /** 0 or more; times the learning rate below 1. Of SGD it is added to the gradient, as PyTorch does. @default 0 */
  readonly weightDecay?: number;
  /** The largest global norm of the trained segment's gradient, above 0; Infinity for no limit. @default 1 */
  readonly clipNorm?: number;
}

export type Optimizer = Required<OptimizerOptions>;

/** The options that each method reads beside those of all. */
const own: Readonly<Record<OptimizerMethod, readonly (keyof OptimizerOptions)[]>> = {
  adamw: ['beta1', 'beta2', 'epsilon'],
  sgd: ['momentum', 'nesterov'],
  lion: ['beta1', 'beta2'],
};

/** What is wrong with options: those out of their range, and those that the method does not read. */
export function optimizerProblems({ method = 'adamw', ...options }: OptimizerOptions): string[] {
  if (!Object.hasOwn(own, method))
    return [`there is no optimizer "${method as string}"; take adamw, sgd or lion`];
  const {
    beta1 = 0,
    beta2 = 0,
    epsilon = 1e-8,
    momentum,
    nesterov = false,
    weightDecay = 0,
    clipNorm = 1,
  } = options;
  const inUnit = (name: string, value = 0) =>
    value >= 0 && value < 1 ? [] : [`${name} must be at least 0 and below 1, got ${value}`];
  const ofOthers = Object.values(own).flat();
  const unread = (Object.keys(options) as (keyof typeof options)[]).filter(
    (key) => options[key] !== undefined && ofOthers.includes(key) && !own[method].includes(key),
  );
  return [
    ...unread.map((key) => `${key} has no effect with ${method}; leave it out`),
    ...inUnit('beta1', beta1),
    ...inUnit('beta2', beta2),
    ...(epsilon > 0 && epsilon < 1 ? [] : [`epsilon must be above 0 and below 1, got ${epsilon}`]),
    ...inUnit('momentum', momentum),
    ...(nesterov && method === 'sgd' && (momentum ?? 0) === 0
      ? ['nesterov has no effect without momentum; give one, as 0.9']
      : []),
    ...(weightDecay >= 0 && weightDecay < Infinity
      ? []
      : [`weightDecay must be 0 or more, got ${weightDecay}`]),
    ...(clipNorm > 0 ? [] : [`clipNorm must be above 0, got ${clipNorm}`]),
  ];
}

/**
 * Completes the options.
 *
 * @throws ModelError (`MODEL_INPUT_INVALID`) with every option that makes no sense.
 */
export function optimizerOf(options: OptimizerOptions = {}): Optimizer {
  const problems = optimizerProblems(options);
  if (problems.length > 0)
    throw new ModelError(
      'MODEL_INPUT_INVALID',
      'createLocalModel',
      listProblems('these options of the optimizer make no sense:', problems),
    );
  const { method = 'adamw', beta1 = 0.9, beta2 = 0.99, epsilon = 1e-8 } = options;
  const { momentum = 0, nesterov = false, weightDecay = 0, clipNorm = 1 } = options;
  return { method, beta1, beta2, epsilon, momentum, nesterov, weightDecay, clipNorm };
}

/** The moments that an optimizer keeps of every trained number. */
export function momentsOf({ method, momentum }: Pick<Optimizer, 'method' | 'momentum'>): readonly Moment[] {
  if (method === 'adamw') return ['first', 'second'];
  return method === 'lion' || momentum > 0 ? ['first'] : [];
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
    optimizer: { method, beta1, beta2, epsilon, momentum, nesterov, weightDecay },
  }: { learningRate: number; gradientScale: number; optimizer: Optimizer },
): void {
  const { parameters, gradients } = trained;
  const { first = none, second = none } = trained.moments;
  const shared = { learningRate, gradientScale, weightDecay };
  trained.step += 1;
  switch (method) {
    case 'adamw':
      kernels.adamW(parameters, gradients, first, second, {
        ...shared,
        beta1,
        beta2,
        epsilon,
        step: trained.step,
      });
      return;
    case 'sgd':
      sgd(parameters, gradients, first, { ...shared, momentum, nesterov });
      return;
    case 'lion':
      lion(parameters, gradients, first, { ...shared, beta1, beta2 });
      return;
    default:
      method satisfies never;
  }
}

const none = new Float32Array(0);
