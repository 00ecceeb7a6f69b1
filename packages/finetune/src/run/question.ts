/** A question to a trained run, and what is wrong with it before anybody is asked. */
import { checkPicture, checkSound, ModelError } from '@contextlora/model';
import { nearestSpelling, orderTasks, slotsOf, type TaskGraph } from '@contextlora/task-graph';
import { tasksNeeded } from '@contextlora/trainer';

import { childDataOf } from '../data/child-data.js';
import type { OpenedRun } from './open-run.js';

/** What fills the slots of a task's instruction. */
export interface Question {
  readonly task: string;
  /** For the slot `{text}`. */
  readonly text?: string;
  /** Path of a picture. */
  readonly image?: string;
  /** Path of a sound. */
  readonly audio?: string;
  /** Task → its answer, where it is known already; that task is not asked. */
  readonly given?: Readonly<Record<string, string>>;
}

/** The tasks that a question asks, in order: the task itself and, through the slots, all others whose answers are not given. */
function askedTasks(graph: TaskGraph, { task, given = {} }: Pick<Question, 'task' | 'given'>): string[] {
  const needed = tasksNeeded(graph, task, Object.keys(given));
  return orderTasks(graph).filter((id) => needed.has(id) && !Object.hasOwn(given, id));
}

export interface QuestionChecks {
  /** How a picture is checked, where `image` is not the path of a file. @default checkPicture of `@contextlora/model` */
  readonly checkImage?: (image: string) => Promise<unknown>;
}

/** Everything that keeps a question to a known task from being asked. Tasks that were trained without some of their images or texts can do without. */
export async function questionProblems(
  { graph, settings }: Pick<OpenedRun, 'graph' | 'settings'>,
  question: Question,
  { checkImage = checkPicture }: QuestionChecks = {},
): Promise<string[]> {
  const { task, text, image, audio, given = {} } = question;
  const asked = askedTasks(graph, question).map((id) => graph.getNodeAttributes(id));
  const problems: string[] = [];
  const slots = [...tasksNeeded(graph, task)].filter((id) => id !== task);
  for (const [id, answer] of Object.entries(given)) {
    if (!slots.includes(id)) {
      const near = nearestSpelling(id, slots);
      const what = slots.length === 0 ? 'asks for no answers' : `asks only for those of ${slots.join(', ')}`;
      problems.push(
        `an answer of "${id}" is given, but task "${task}" ${what}${near === undefined ? '' : `; did you mean "${near}"?`}`,
      );
      continue;
    }
    const { answer: spec } = graph.getNodeAttributes(id);
    if (spec.type !== 'label' || spec.labels.includes(answer)) continue;
    const near = nearestSpelling(answer, spec.labels);
    problems.push(
      `the given answer "${answer}" is not a label of task "${id}" (${spec.labels.join(', ')})${near === undefined ? '' : `; did you mean "${near}"?`}`,
    );
  }
  const takesText = asked.filter(({ instruction }) => slotsOf(instruction).includes('text'));
  const needsText = takesText.find((spec) => childDataOf(settings, spec).textDropout === 0);
  if (needsText && (text ?? '').trim() === '')
    problems.push(`task "${needsText.id}" has a slot {text}, but no text is given`);
  if (takesText.length === 0 && text !== undefined)
    problems.push(`a text is given, but ${listed(asked.map(({ id }) => id))} no slot {text}`);
  const takesImage = asked.filter(({ inputs }) => inputs.includes('image'));
  const needsImage = takesImage.find((spec) => childDataOf(settings, spec).imageDropout === 0);
  if (needsImage && image === undefined)
    problems.push(`task "${needsImage.id}" takes an image, but none is given`);
  if (takesImage.length === 0 && image !== undefined)
    problems.push(`an image is given, but ${listed(asked.map(({ id }) => id))} no image among its inputs`);
  const takesAudio = asked.filter(({ inputs }) => inputs.includes('audio'));
  const [needsAudio] = takesAudio;
  if (needsAudio && audio === undefined)
    problems.push(`task "${needsAudio.id}" takes a sound, but none is given`);
  if (takesAudio.length === 0 && audio !== undefined)
    problems.push(`a sound is given, but ${listed(asked.map(({ id }) => id))} no audio among its inputs`);
  const unreadable = (error: unknown) => {
    if (!(error instanceof ModelError)) throw error;
    problems.push(error.message);
  };
  if (takesImage.length > 0 && image !== undefined) await checkImage(image).catch(unreadable);
  if (takesAudio.length > 0 && audio !== undefined) await checkSound(audio).catch(unreadable);
  return problems;
}

const listed = (tasks: readonly string[]) =>
  tasks.length === 1 ? `task "${tasks[0] ?? ''}" has` : `none of the tasks asked (${tasks.join(', ')}) has`;
