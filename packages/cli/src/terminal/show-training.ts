/** Shows the events of a training run on a terminal, and collects what the report needs. */
import type { LossPoint } from '../drawings/plot-losses.js';
import { bar, clockTime, type Progress } from '../terminal/progress.js';
import { percent } from '../terminal/table.js';
import type { MetricsFile } from './metrics-file.js';
import type { PhaseCertificate } from './run-report.js';
import type { TaskEvaluation } from './evaluate-task.js';
import type { ContextEvent } from './train-context.js';

export interface TrainingRecord {
  readonly losses: LossPoint[];
  readonly certificates: PhaseCertificate[];
  /** `${task}/${when}/${test}` → evaluation. */
  readonly evaluations: Map<string, TaskEvaluation>;
  /** Between the start of a phase and its last step, over all phases that were run here. */
  stepSeconds: number;
}

export interface ShowOptions {
  readonly progress: Progress;
  readonly clock: () => number;
  readonly metrics: MetricsFile;
  readonly phaseCount: number;
  /** Said at the end of the progress line. */
  readonly aside?: () => string;
}

/** Consumes the events to the end. */
export async function showTraining(
  events: AsyncIterable<ContextEvent>,
  { progress, clock, metrics, phaseCount, aside = () => '' }: ShowOptions,
): Promise<TrainingRecord> {
  const record: TrainingRecord = { losses: [], certificates: [], evaluations: new Map(), stepSeconds: 0 };
  let started = clock();
  let last = started;
  let tokens = 0;
  let turns = 0;
  let smooth = NaN;
  for await (const event of events) {
    switch (event.type) {
      case 'resume':
        progress.print(`  resuming at phase ${event.position.phase + 1}, step ${event.position.step}`);
        break;
      case 'phaseStart':
        [started, tokens, turns, smooth] = [clock(), 0, 0, NaN];
        last = started;
        break;
      case 'step': {
        turns += 1;
        tokens += event.tokens;
        smooth = Number.isNaN(smooth) ? event.loss : 0.9 * smooth + 0.1 * event.loss;
        record.losses.push({ step: record.losses.length, task: event.task, loss: event.loss });
        metrics.add(event);
        const seconds = clock() - started;
        record.stepSeconds += clock() - last;
        last = clock();
        const left = (seconds / turns) * (event.steps - event.step - 1);
        progress.update(
          `  ${event.phase + 1}/${phaseCount} ${event.task.padEnd(9)} ${bar(event.step + 1, event.steps)} ` +
            `step ${event.step + 1}/${event.steps}  loss ${smooth.toFixed(3)}  ` +
            `${Math.round(tokens / seconds).toLocaleString('en')} tokens/s  ${clockTime(left)} left${aside()}`,
        );
        break;
      }
      case 'phaseEnd': {
        const { check, certificate } = event;
        record.certificates.push({ tasks: event.tasks, check, certificate });
        const seconds = clock() - started;
        progress.print(
          `  ${event.phase + 1}/${phaseCount} ${event.tasks.join(', ').padEnd(9)} trained in ${seconds.toFixed(1)} s, ` +
            `loss ${smooth.toFixed(3)}, ${Math.round(tokens / seconds).toLocaleString('en')} tokens/s`,
        );
        progress.print(
          `      certificate: ${check.trained.map((id) => `${id} ${(certificate[id] ?? '').slice(0, 12)}`).join(', ')} trained; ` +
            `${check.unchanged.join(', ') || 'nothing else'} unchanged to the byte`,
        );
        break;
      }
      case 'evaluated': {
        const { task, when, test, accuracy } = event;
        record.evaluations.set(`${task}/${when}/${test}`, event);
        metrics.add({ type: 'evaluated', task, when, test, accuracy });
        if (when === 'afterOwnPhase') progress.print(`      ${task} on ${test}: ${percent(accuracy)}`);
        break;
      }
      default:
        event satisfies never;
    }
  }
  await metrics.flush();
  return record;
}
