/**
 * What a model is trained on: examples as tokens, and the loss of a batch of them.
 *
 * The loss of an example with labels is −ln p(answer | labels), which decides among the labels as fast as a small budget allows, plus what
 * teaches the model to write the answer: the mean of −ln p over the whole vocabulary at the tokens that the labels leave no choice of, and
 * a share of it where they part and at the end. The loss of free text is the mean of −ln p(token | what precedes it) over the answer's tokens, its end included.
 * With `promptLoss` that mean is over the tokens of the prompt too, and an example with labels has a share of the mean over its prompt's.
 */
import { createHash } from 'node:crypto';

import { ModelError } from '../model-error.js';
import type { LossTerms } from '../stage/loss-terms.js';
import { answerIds, openLabelIds } from '../text/answer-tokens.js';
import { type Example, promptIds, requirePrompt } from '../text/example.js';
import type { ModelText } from '../text/model-text.js';

/** The weight of the whole vocabulary where labels part and at a label's end; docs/decisions.md, 2026-11-28, has the measurement. */
const vocabularyShare = 0.1;

/** An example as tokens. */
export interface PreparedExample {
  /** The ids that the model reads: the prompt, and the answer without its end. */
  readonly ids: readonly number[];
  /** The position of the first logits in the loss: that of the prompt's last id. */
  readonly start: number;
  /** The answer's ids, which are the targets from `start` on. */
  readonly answer: readonly number[];
  /** Where the tokens so far leave a choice among labels; none without labels. */
  readonly choices: readonly Choice[];
  /** The weight of the loss over the whole vocabulary at each of the answer's ids. */
  readonly vocabularyWeights: readonly number[];
  /** With `promptLoss`, the prompt's tokens that are predicted, each at the position of the id before it. */
  readonly asked: readonly { readonly at: number; readonly id: number }[];
  /** Of each of them. */
  readonly askedWeight: number;
  /** SHA-256 of the ids, the image and the sound. */
  readonly sequence: string;
}

/** The tokens of the answer's labels that can stand at a position of the answer, and the index of the right one. */
interface Choice {
  readonly at: number;
  readonly columns: readonly number[];
  readonly target: number;
}

export interface PreparationOptions {
  /** The most tokens that a free-text answer is written with, without its end. */
  readonly maximumNewTokens: number;
  /** Whether the whole-vocabulary loss is over the tokens of the prompt's text too. @default false */
  readonly promptLoss?: boolean;
}

/** Returns a function that turns examples into tokens, once for each example object. */
export function openPreparation(
  model: ModelText,
  { maximumNewTokens, promptLoss = false }: PreparationOptions,
): (example: Example) => PreparedExample {
  const prepared = new WeakMap<Example, PreparedExample>();
  const labelIdsOf = openLabelIds(model);
  const { vision, audio } = model.spec;
  const notText = [vision?.imageTokenId, audio?.audioTokenId];
  const invalid = (what: string) => new ModelError('MODEL_INPUT_INVALID', 'step', what);
  const prepare = (example: Example): PreparedExample => {
    const { labels, answer } = example;
    const prompt = promptIds(model, example);
    requirePrompt(prompt, 'step');
    const all = labels && labelIdsOf(labels, prompt);
    const ids = all ? all[labels.indexOf(answer)] : answerIds(model, answer, prompt);
    if (!ids) throw invalid(`answer "${answer}" is not among the labels ${(labels ?? []).join(', ')}`);
    if (!all && ids.length - 1 > maximumNewTokens)
      throw invalid(
        `an answer has ${ids.length - 1} tokens (${JSON.stringify(`${answer.slice(0, 60)}…`)}), but answers are written with at most ` +
          `${maximumNewTokens}; raise maximumNewTokens or shorten the answer`,
      );
    const choices = all ? choicesOf(ids, all) : [];
    const asked = promptLoss
      ? prompt.flatMap((id, at) => (at === 0 || notText.includes(id) ? [] : [{ at: at - 1, id }]))
      : [];
    const tokens = ids.length + asked.length;
    const read = [...prompt, ...ids.slice(0, -1)];
    return {
      ids: read,
      start: prompt.length - 1,
      answer: ids,
      choices,
      vocabularyWeights: all ? labelWeights(ids, choices) : ids.map(() => 1 / tokens),
      asked,
      askedWeight: all ? vocabularyShare / asked.length : 1 / tokens,
      sequence: createHash('sha256')
        .update(
          `${read.join()} ${example.image ?? ''}${example.audio === undefined ? '' : ` ${example.audio}`}`,
        )
        .digest('hex'),
    };
  };
  return (example) => {
    const known = prepared.get(example);
    if (known) return known;
    const made = prepare(example);
    prepared.set(example, made);
    return made;
  };
}

/**
 * The positions where labels part: Π over them of the right token's share among the tokens of labels that agree so far is
 * p(answer | labels).
 */
function choicesOf(answer: readonly number[], labels: readonly (readonly number[])[]): Choice[] {
  return answer.flatMap((id, at) => {
    const possible = labels.filter((label) => label.slice(0, at).every((token, i) => token === answer[i]));
    const columns = [...new Set(possible.flatMap((label) => label[at] ?? []))];
    return columns.length > 1 ? [{ at, columns, target: columns.indexOf(id) }] : [];
  });
}

/** The end is the same for every label, so that each row teaches it; a label's own text is learnt from its rows alone. */
function labelWeights(answer: readonly number[], choices: readonly Choice[]): number[] {
  const parting = new Set(choices.map(({ at }) => at));
  const isWeak = (at: number) => parting.has(at) || at === answer.length - 1;
  const others = answer.filter((_, at) => !isWeak(at)).length;
  return answer.map((_, at) => (isWeak(at) ? vocabularyShare : 1 / others));
}

/** A row of logits in a loss. */
interface Term {
  readonly row: number;
  readonly target: number;
  readonly weight: number;
}

/**
 * The parts of the loss of a batch whose rows have `time` positions, each over its own columns; the loss is the sum over examples, `weight`
 * times each.
 */
export function lossesOf(
  examples: readonly PreparedExample[],
  { time, weight }: { time: number; weight: number },
): LossTerms[] {
  const vocabulary: Term[] = [];
  const choices = new Map<string, { columns: readonly number[]; terms: Term[] }>();
  for (const [i, example] of examples.entries()) {
    const first = i * time + example.start;
    for (const [at, target] of example.answer.entries())
      vocabulary.push({
        row: first + at,
        target,
        weight: weight * (example.vocabularyWeights[at] ?? 0),
      });
    for (const { at, id } of example.asked)
      vocabulary.push({ row: i * time + at, target: id, weight: weight * example.askedWeight });
    for (const { at, columns, target } of example.choices) {
      const key = columns.join();
      const same = choices.get(key) ?? { columns, terms: [] };
      same.terms.push({ row: first + at, target, weight });
      choices.set(key, same);
    }
  }
  return [
    lossOver(vocabulary),
    ...[...choices.values()].map(({ columns, terms }) => ({ ...lossOver(terms), columns })),
  ];
}

const lossOver = (terms: readonly Term[]): LossTerms => ({
  rows: terms.map(({ row }) => row),
  targets: terms.map(({ target }) => target),
  weights: terms.map(({ weight }) => weight),
});
