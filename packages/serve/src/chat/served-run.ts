/** A run as it is served: its tasks, the base on which they answer, and what is checked before they are asked. */
import { type OpenedRun, openQuestionLengths, type Question } from '@contextlora/finetune';
import { masksFor } from '@contextlora/lora';
import {
  jsonConstraint,
  type LoadedModel,
  type SegmentsByLinear,
  type TokenConstraint,
  type UploadedSegments,
  uploadSegments,
} from '@contextlora/model';
import { nearestSpelling, type TaskSpec } from '@contextlora/task-graph';
import { inferenceRoles, rolesOf } from '@contextlora/trainer';

import { ServeError } from '../serve-error.js';

/** What of a run is needed to serve it. */
export type ServableRun = Pick<OpenedRun, 'graph' | 'settings' | 'partition' | 'segments' | 'trainedTasks'> &
  Partial<Pick<OpenedRun, 'rowLimits'>>;

export interface ServedRun {
  readonly run: ServableRun;
  readonly base: LoadedModel;
  /** The segments with which a task answers: its own and those of its ancestors. */
  segmentsOf(task: string): SegmentsByLinear;
  /** Why a question is too long for the model. */
  readonly lengthProblem: (question: Question) => string | undefined;
  /** The form that a JSON schema gives an answer; those of the tasks, and of the latest requests, are kept. */
  readonly constraintOf: (schema: object) => TokenConstraint;
  dispose(): void;
}

/** The constraints of requests that are kept: an automaton may have 60 MB. */
const keptConstraints = 4;

/** Puts the segments of every trained task on a base. @throws ServeError (`SERVE_INPUT_INVALID`) for a run that has trained no task. */
export function openServedRun(base: LoadedModel, run: ServableRun): ServedRun {
  const { graph, partition, segments, trainedTasks } = run;
  if (trainedTasks.length === 0)
    throw new ServeError('SERVE_INPUT_INVALID', 'createServer', 'the run has trained no task yet');
  const uploaded = new Map<string, UploadedSegments>(
    trainedTasks.map((task) => [
      task,
      uploadSegments(masksFor(partition, inferenceRoles(rolesOf(graph, task))), segments),
    ]),
  );
  const constraints = new Map<string, TokenConstraint>();
  return {
    run,
    base,
    segmentsOf(task) {
      const of = uploaded.get(task);
      if (!of) throw new Error(`internal: task "${task}" is not served`);
      return of.byLinear;
    },
    lengthProblem: openQuestionLengths(base, graph, run.rowLimits),
    constraintOf(schema) {
      const key = JSON.stringify(schema);
      const found = constraints.get(key) ?? jsonConstraint(base.tokenizer, schema);
      constraints.delete(key);
      constraints.set(key, found);
      const [oldest] = constraints.keys();
      if (oldest !== undefined && constraints.size > keptConstraints) constraints.delete(oldest);
      return found;
    },
    dispose() {
      for (const of of uploaded.values()) of.dispose();
    },
  };
}

/** @throws ServeError (`SERVE_TASK_UNKNOWN`) with the nearest name. */
export function requireTask({ graph, trainedTasks }: ServableRun, task: string, parameter: string): TaskSpec {
  if (trainedTasks.includes(task)) return graph.getNodeAttributes(task);
  const near = nearestSpelling(task, trainedTasks);
  throw new ServeError(
    'SERVE_TASK_UNKNOWN',
    'models',
    `there is no task ${JSON.stringify(task.slice(0, 100))}${near === undefined ? '' : `; did you mean "${near}"?`}; the tasks are ${trainedTasks.join(', ')}`,
    { parameter },
  );
}
