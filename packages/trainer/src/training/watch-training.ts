/** What a run watches in itself: a step that must not be applied, and training that has come to nothing. */
import { TrainerError } from '../trainer-error.js';
import type { StepResult } from './trainable-model.js';

/** Where a run is, for messages. */
export interface StepPlace {
  readonly task: string;
  /** From 0. */
  readonly step: number;
  readonly steps: number;
  readonly learningRate: number;
  /** Which examples of the task were in the batch, from 0. */
  readonly examples: readonly number[];
}

/** Below this the gradient is lost in AdamW's epsilon, 1e-8: no number of a segment moves. */
const vanishedNorm = 1e-10;
/** Nats. A task with a lower loss has been learned, and its gradient may vanish. */
const learnedLoss = 0.01;
/** After so many steps in a row without a gradient it will not come back. */
const patienceSteps = 20;

/**
 * Watches the steps of a phase; the returned function is given each as it is done.
 *
 * @throws TrainerError `TRAINER_NOT_FINITE` when loss or gradient is NaN or infinite, `TRAINER_STUCK` when a task has had no gradient for 20
 * steps in a row (or in all its steps, if they are fewer) and a loss that is not small.
 */
export function watchTraining(): (result: StepResult, place: StepPlace) => void {
  const without = new Map<string, number>();
  return (result, place) => {
    const { loss, gradientNorm } = result;
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) throw notFinite(result, place);
    const vanished = gradientNorm < vanishedNorm && loss > learnedLoss;
    const inARow = vanished ? (without.get(place.task) ?? 0) + 1 : 0;
    without.set(place.task, inARow);
    if (inARow >= Math.min(patienceSteps, place.steps)) throw stuck(result, place, inARow);
  };
}

const where = ({ task, step, steps, learningRate }: StepPlace) =>
  `task "${task}", step ${step + 1} of ${steps}, learning rate ${Number(learningRate.toPrecision(4))}`;

function notFinite({ loss, gradientNorm }: StepResult, place: StepPlace): TrainerError {
  const { examples, step } = place;
  const numbers = examples.slice(0, 16).map((index) => index + 1);
  const rows = `${numbers.join(', ')}${examples.length > numbers.length ? ', …' : ''}`;
  return new TrainerError(
    'TRAINER_NOT_FINITE',
    'train',
    `${where(place)}: the loss is ${loss} and the norm of the gradient ${gradientNorm}, so that the step would destroy the segment. ` +
      'It is not applied, and the last checkpoint stays as it is. ' +
      (step === 0
        ? 'As it is the first step, the base model itself may hold such numbers, or an example may be out of range: '
        : 'Try a lower learning rate, and look at the examples: ') +
      `this batch has the training rows ${rows}`,
    { tasks: [place.task] },
  );
}

function stuck({ loss, gradientNorm }: StepResult, place: StepPlace, inARow: number): TrainerError {
  return new TrainerError(
    'TRAINER_STUCK',
    'train',
    `${where(place)}: for ${inARow} steps in a row the gradient has had no size (now ${gradientNorm}), while the loss is still ${loss.toPrecision(4)}: ` +
      'the task no longer learns, as after steps that were too large. The run ends; start again with a lower learning rate',
    { tasks: [place.task] },
  );
}
