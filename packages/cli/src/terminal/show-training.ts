/** The events of a training run on a terminal. */
import type { RunEvent } from '@contextlora/finetune';

import { bar, clockTime, type Progress } from './progress.js';
import { percent } from './table.js';

export interface ShowTrainingOptions {
  readonly progress: Progress;
  /** Monotonic seconds. */
  readonly clock: () => number;
  readonly phaseCount: number;
  /** Text at the end of the progress line. */
  readonly suffix?: () => string;
}

/** Returns a function that shows one event after another. */
export function showTraining({
  progress,
  clock,
  phaseCount,
  suffix = () => '',
}: ShowTrainingOptions): (event: RunEvent) => void {
  let started = clock();
  let tokens = 0;
  let stepsShown = 0;
  let smoothLoss = NaN;
  return (event) => {
    switch (event.type) {
      case 'carried':
        break;
      case 'resume':
        progress.print(`  resuming at phase ${event.position.phase + 1}, step ${event.position.step}`);
        break;
      case 'askingParents':
        progress.update(
          `  asking the parents of ${event.task} ${bar(event.done, event.total)} ${event.done}/${event.total} training rows`,
        );
        break;
      case 'phaseStart':
        [started, tokens, stepsShown, smoothLoss] = [clock(), 0, 0, NaN];
        break;
      case 'step': {
        stepsShown += 1;
        tokens += event.tokens;
        smoothLoss = Number.isNaN(smoothLoss) ? event.loss : 0.9 * smoothLoss + 0.1 * event.loss;
        const seconds = clock() - started;
        const left = (seconds / stepsShown) * (event.steps - event.step - 1);
        progress.update(
          `  ${event.phase + 1}/${phaseCount} ${event.task.padEnd(9)} ${bar(event.step + 1, event.steps)} ` +
            `step ${event.step + 1}/${event.steps}  loss ${smoothLoss.toFixed(3)}  ` +
            `${Math.round(tokens / seconds).toLocaleString('en')} tokens/s  ${clockTime(left)} left${suffix()}`,
        );
        break;
      }
      case 'phaseEnd': {
        const { check, certificate, best } = event;
        const seconds = clock() - started;
        progress.print(
          `  ${event.phase + 1}/${phaseCount} ${event.tasks.join(', ').padEnd(9)} trained in ${seconds.toFixed(1)} s, ` +
            `loss ${smoothLoss.toFixed(3)}, ${Math.round(tokens / seconds).toLocaleString('en')} tokens/s`,
        );
        if (best)
          progress.print(
            `      kept as it was after step ${best.step + 1}, with ${percent(best.score)} on validation; ${stepsShown} steps in this process`,
          );
        progress.print(
          `      certificate: ${check.trained.map((id) => `${id} ${(certificate[id] ?? '').slice(0, 12)}`).join(', ')} trained; ` +
            `${check.unchanged.join(', ') || 'nothing else'} unchanged to the byte`,
        );
        break;
      }
      case 'evaluating':
        progress.update(
          `  evaluating ${event.task} on ${event.test} ${bar(event.done, event.total)} ${event.done}/${event.total}`,
        );
        break;
      case 'evaluated':
        if (event.when !== 'final')
          progress.print(`      ${event.task} on ${event.test}: ${percent(event.accuracy)}`);
        break;
      default:
        event satisfies never;
    }
  };
}
