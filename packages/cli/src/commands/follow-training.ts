/** Training to its end: shown, kept in the metrics of its directory, and recorded for its report. */
import { openRunMetrics, recordRun, type RunEvent, type RunRecord } from '@contextlora/finetune';

import { type CommandContext, untilStopped } from '../command-context.js';
import { showTraining } from '../terminal/show-training.js';

export async function followTraining(
  events: AsyncIterable<RunEvent>,
  { directory, phaseCount }: { readonly directory: string; readonly phaseCount: number },
  { progress, clock, signal }: CommandContext,
): Promise<RunRecord> {
  const { record, add } = recordRun({ clock });
  const metrics = openRunMetrics(directory);
  const show = showTraining({ progress, clock, phaseCount });
  try {
    for await (const event of untilStopped(events, signal)) {
      add(event);
      metrics.add(event);
      show(event);
    }
  } finally {
    await metrics.flush();
  }
  return record;
}
