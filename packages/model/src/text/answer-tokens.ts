/** An answer as token ids: its text as it follows a prompt, and the token that ends it. Training, scores and limits all take it from here. */
import { ModelError } from '../model-error.js';
import type { ModelText } from './model-text.js';

type Reader = Pick<ModelText, 'tokenizer' | 'endIds'>;

/**
 * The ids of an answer after the ids of a prompt, its end token last.
 *
 * The answer begins with the space that separates words, unless the prompt ends in white space or the tokenizer needs more tokens for the answer with a space than without. A written answer is read without the white space around it.
 *
 * @throws ModelError when the model has no end token, or the text spells a token that ends or disappears from a written answer.
 */
export function answerIds(model: Reader, answer: string, prompt: readonly number[] = []): number[] {
  const { tokenizer } = model;
  const plain = tokenizer.encode(answer);
  // A tokenizer that adds the space itself gives the same ids with and without one.
  const spaced = endsInSpace(model, prompt) ? plain : tokenizer.encode(` ${answer}`);
  const ids = spaced.length <= plain.length ? spaced : plain;
  const special = specialIn(model, ids);
  if (special !== undefined)
    throw new ModelError(
      'MODEL_INPUT_INVALID',
      'answerIds',
      `the answer ${quoted(answer)} contains ${quoted(tokenizer.decode([special]))}, a special token of this model, so it cannot be written as it stands; reword it`,
    );
  return [...ids, answerEnd(model)];
}

/**
 * The ids of all labels of a task after a prompt, as {@link answerIds} gives them.
 *
 * @throws ModelError when there is no label, or one has no token, or two have the same, and as {@link answerIds} does.
 */
export function labelIds(
  model: Reader,
  labels: readonly string[],
  prompt: readonly number[] = [],
): number[][] {
  const invalid = (what: string) => new ModelError('MODEL_INPUT_INVALID', 'labelIds', what);
  if (labels.length === 0) throw invalid('there are no labels');
  const labelOfIds = new Map<string, string>();
  return labels.map((label, i) => {
    const ids = answerIds(model, label, prompt);
    if (ids.length === 1) throw invalid(`label ${i} (${quoted(label)}) has no token`);
    const same = labelOfIds.get(ids.join());
    if (same !== undefined)
      throw invalid(
        same === label
          ? `the label ${quoted(label)} is given twice`
          : `the labels ${quoted(same)} and ${quoted(label)} are the same tokens for this model, so they cannot be told apart; rename one`,
      );
    labelOfIds.set(ids.join(), label);
    return ids;
  });
}

/** {@link labelIds}, computed once for each array of labels and kind of prompt. */
export function openLabelIds(
  model: Reader,
): (labels: readonly string[], prompt: readonly number[]) => readonly (readonly number[])[] {
  const known = [new WeakMap<readonly string[], number[][]>(), new WeakMap<readonly string[], number[][]>()];
  return (labels, prompt) => {
    const cache = known[Number(endsInSpace(model, prompt))];
    const found = cache?.get(labels) ?? labelIds(model, labels, prompt);
    cache?.set(labels, found);
    return found;
  };
}

/** The token that ends an answer: the tokenizer's end token, or the first of the ids that the checkpoint lists. */
function answerEnd({ tokenizer, endIds }: Reader): number {
  const id = tokenizer.endId ?? endIds[0];
  if (id === undefined)
    throw new ModelError(
      'MODEL_UNSUPPORTED',
      'answerIds',
      'the model has no end token, so no answer could end: neither its tokenizer files ("eos_token") nor generation_config.json or ' +
        'config.json ("eos_token_id") name one, nor, in a GGUF file, the metadata ("tokenizer.ggml.eos_token_id"); add it to one of them',
    );
  return id;
}

/** The first id that ends an answer or has no text in one. */
function specialIn({ tokenizer, endIds }: Reader, ids: readonly number[]): number | undefined {
  const end = ids.find((id) => endIds.includes(id));
  const isWritten = (part: readonly number[]) =>
    tokenizer.decode(part, { skipSpecialTokens: true }) === tokenizer.decode(part);
  if (end !== undefined || isWritten(ids)) return end;
  return ids.find((id) => !isWritten([id]));
}

/** Whether the text of a prompt ends in white space; an id may lose its space in decoding unless others precede it. */
const endsInSpace = ({ tokenizer }: Reader, prompt: readonly number[]) =>
  /\s$/.test(tokenizer.decode(prompt.slice(-4)));

const quoted = (text: string) => JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
