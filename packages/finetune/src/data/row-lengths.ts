/** How many tokens a row's questions have, against the positions of a model. */
import {
  answerIds,
  jsonConstraint,
  labelIds,
  type LoadedModel,
  ModelError,
  promptIds,
  withSoundSamples,
} from '@contextlora/model';
import { renderInstruction, slotsOf, type TaskSpec, tasksOf } from '@contextlora/task-graph';
import { answerSlots, type TaskRow, tasksNeeded } from '@contextlora/trainer';

import { childDataOf, type ChildDataSettings } from './child-data.js';
import type { Split } from './each-split.js';
import type { TaskData } from './task-data.js';

/** What keeps a row from being asked. */
export interface RowProblem {
  readonly message: string;
  /** Whether it is about the number of tokens. */
  readonly isTooLong: boolean;
  /** Whether a shorter text would help. */
  readonly isTextTooLong: boolean;
}

export interface RowLengthOptions {
  /** The most tokens that a free answer is written with. @default 128, as in `createLocalModel` */
  readonly maximumNewTokens?: number;
  /** Where training rows may have predicted answers of parents, the parents are asked about them too. */
  readonly childData?: ChildDataSettings;
  /** The most tokens of a row with its answer; the model's positions if they are fewer. */
  readonly maximumTokens?: number;
}

/** The most tokens of a row. */
export const tokenLimit = (
  { rotary }: LoadedModel,
  { maximumTokens = Infinity }: Pick<RowLengthOptions, 'maximumTokens'>,
): number => Math.min(rotary.time, maximumTokens);

/**
 * Returns a function that gives the first problem of a row of a split, or undefined if the model can read and answer it.
 *
 * A training row is one question, with the right answers of the parents; if parents may be asked about it, it is also a row to be answered. A row to be answered is one question for each task that is asked;
 * the answers of parents are not known yet, so they count as their longest label, or as the longest text that is written.
 *
 * @throws ModelError when the labels of a task cannot be told apart by this model, or an answer cannot be written in its form.
 */
export function openRowLengths(
  base: LoadedModel,
  { graph, sounds = new Map() }: Pick<TaskData, 'graph' | 'sounds'>,
  { maximumNewTokens = 128, childData = {}, ...options }: RowLengthOptions = {},
): (split: Pick<Split, 'task' | 'kind'>, row: TaskRow) => RowProblem | undefined {
  const model = withSoundSamples(base, sounds);
  const most = tokenLimit(model, options);
  const limit = most < model.rotary.time ? `at most ${most} are allowed` : `the model has ${most} positions`;
  for (const { id, answer } of tasksOf(graph))
    if (answer.type === 'json')
      jsonConstraint(model.tokenizer, answer.schema, { where: `the answer's schema of task "${id}"` });
  const longest = new Map<string, { label: string; tokens: number } | undefined>();
  const longestLabel = (spec: TaskSpec) => {
    if (!longest.has(spec.id)) longest.set(spec.id, longestLabelOf(model, spec));
    return longest.get(spec.id);
  };
  const chains = new Map<string, TaskSpec[]>();
  const chainOf = (task: string) => {
    const chain = chains.get(task) ?? [...tasksNeeded(graph, task)].map((id) => graph.getNodeAttributes(id));
    chains.set(task, chain);
    return chain;
  };
  const { vision, audio: tower } = model.spec;
  const reserved = [
    ...(vision ? [[model.tokenizer.decode([vision.imageTokenId]), 'picture'] as const] : []),
    ...(tower ? [[model.tokenizer.decode([tower.audioTokenId]), 'sound'] as const] : []),
  ];
  /** The problem of the question that a row is for a task, with as many tokens for its answers. */
  const questionProblem = (
    spec: TaskSpec,
    { text, image, audio }: TaskRow,
    { answers, tokens }: { answers: Readonly<Record<string, string>>; tokens: number },
    { task }: { task: string },
  ): RowProblem | undefined => {
    const which = spec.id === task ? 'the row' : `its question for task "${spec.id}"`;
    const prompt = renderInstruction(spec, { text, answers });
    const spelt = reserved.find(([token]) => prompt.includes(token));
    if (spelt)
      return unrelated(
        `${which} spells "${spelt[0]}", which stands for a ${spelt[1]} in this model; reword it`,
      );
    let all = tokens;
    try {
      all += promptIds(model, {
        prompt,
        ...(image === undefined || !spec.inputs.includes('image') ? {} : { image }),
        ...(audio === undefined || !spec.inputs.includes('audio') ? {} : { audio }),
      }).length;
    } catch (error) {
      // A sound that is too long or too short for the model.
      if (audio === undefined || !(error instanceof ModelError) || error.code !== 'MODEL_INPUT_INVALID')
        throw error;
      return unrelated(error.message.replace(/^[^:]*: /, ''));
    }
    return all <= most
      ? undefined
      : {
          message: `${which} has ${all} tokens with the answer, but ${limit}`,
          isTooLong: true,
          isTextTooLong: slotsOf(spec.instruction).includes('text'),
        };
  };

  return (split, row) => {
    const own = graph.getNodeAttributes(split.task);
    const label = longestLabel(own);
    const right = label ?? freeAnswer(model, row.answer, maximumNewTokens);
    if ('message' in right) return right;
    if (split.kind === 'train') {
      const hasAll = answerSlots(own).every((slot) => Object.hasOwn(row.parents, slot));
      const problem = hasAll
        ? questionProblem(own, row, { answers: row.parents, tokens: right.tokens }, split)
        : undefined;
      const { predictedShare } = childDataOf(childData, own);
      if (problem || predictedShare === 'none' || (predictedShare === 0 && hasAll)) return problem;
    }
    for (const spec of chainOf(split.task)) {
      const parents = answerSlots(spec).map((id) => [id, longestLabel(graph.getNodeAttributes(id))] as const);
      const free = parents.filter(([, known]) => known === undefined).length * maximumNewTokens;
      const answers = Object.fromEntries(parents.map(([id, known]) => [id, known?.label ?? '']));
      const answered =
        spec.id === split.task ? right.tokens : (longestLabel(spec)?.tokens ?? maximumNewTokens);
      const problem = questionProblem(spec, row, { answers, tokens: free + answered }, split);
      if (problem) return problem;
    }
    return undefined;
  };
}

const unrelated = (message: string): RowProblem => ({ message, isTooLong: false, isTextTooLong: false });

/** The label with the most tokens; undefined for a task with free answers. */
function longestLabelOf(
  model: LoadedModel,
  { answer }: TaskSpec,
): { label: string; tokens: number } | undefined {
  if (answer.type !== 'label') return undefined;
  const all = labelIds(model, answer.labels).map((ids, i) => ({
    label: answer.labels[i] ?? '',
    tokens: ids.length - 1,
  }));
  return all.reduce((most, one) => (one.tokens > most.tokens ? one : most));
}

function freeAnswer(
  model: LoadedModel,
  answer: string,
  maximumNewTokens: number,
): { readonly tokens: number } | RowProblem {
  let tokens: number;
  try {
    // The end token is predicted, never read.
    tokens = answerIds(model, answer).length - 1;
  } catch (error) {
    if (!(error instanceof ModelError) || error.code !== 'MODEL_INPUT_INVALID') throw error;
    return unrelated(error.message.replace(/^[^:]*: /, ''));
  }
  return tokens <= maximumNewTokens
    ? { tokens }
    : {
        message: `the answer has ${tokens} tokens, but answers are written with at most ${maximumNewTokens}`,
        isTooLong: true,
        isTextTooLong: false,
      };
}
