/** From rows of data to examples for the model. */
import type { Example } from '@contextlora/model';
import { renderInstruction, type TaskGraph, type TaskSpec } from '@contextlora/task-graph';
import type { ComposedInput, TaskRow } from '@contextlora/trainer';

/** Training examples: the instruction, with the parents' right answers in its slots. */
export const trainingExamples = (task: TaskSpec, rows: Iterable<TaskRow>): Example[] =>
  Array.from(rows, (row) => trainingExample(task, row));

/** The training example of a row. */
export function trainingExample(task: TaskSpec, row: TaskRow): Example {
  const prompt = renderInstruction(task, { text: row.text, answers: row.parents });
  return { ...exampleOf(task, prompt, row), answer: row.answer };
}

/** An example to predict, from a rendered prompt; an image or a sound is for those of the chain's tasks that take one. */
function exampleOf({ inputs, answer }: TaskSpec, prompt: string, { image, audio }: ComposedInput): Example {
  return {
    prompt,
    answer: '',
    ...(image === undefined || !inputs.includes('image') ? {} : { image }),
    ...(audio === undefined || !inputs.includes('audio') ? {} : { audio }),
    ...(answer.type === 'label' ? { labels: answer.labels } : {}),
    ...(answer.type === 'json' ? { schema: answer.schema } : {}),
  };
}

/** {@link exampleOf} for every task of a graph. */
export const exampleOfGraph = (graph: TaskGraph) => (task: string, prompt: string, input: ComposedInput) =>
  exampleOf(graph.getNodeAttributes(task), prompt, input);
