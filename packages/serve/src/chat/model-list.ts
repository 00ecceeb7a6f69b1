/** The tasks of a run as OpenAI's models. */
import type { TaskSpec } from '@contextlora/task-graph';

import type { ModelEntry } from './answer-schemas.js';
import type { ServableRun } from './served-run.js';

/** `created`: Unix time in seconds at which the server began. */
export const modelEntry = (
  { graph, trainedTasks }: ServableRun,
  { id, instruction, inputs, dependsOn, answer }: TaskSpec,
  created: number,
): ModelEntry => ({
  id,
  object: 'model',
  created,
  owned_by: 'contextlora',
  contextlora: {
    instruction,
    inputs: [...inputs],
    dependsOn: [...dependsOn],
    answer: answer.type,
    ...(answer.type === 'label' ? { labels: [...answer.labels] } : {}),
    isLast: !graph.outNeighbors(id).some((child) => trainedTasks.includes(child)),
  },
});
