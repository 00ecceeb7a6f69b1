/** From examples to batches with their losses. */
import type { LoadedModel } from '../checkpoint/load-model.js';
import { ModelError } from '../model-error.js';
import type { LossRequest } from '../pass/language-pass.js';
import { batchOf, type TokenBatch } from '../pass/token-batch.js';
import { answerIds, type Example, labelTokens, promptIds } from '../text/example.js';

/** An example as tokens. */
interface PreparedExample {
  /** The ids that the model reads. */
  readonly ids: readonly number[];
  /** The position of the first logits in the loss: that of the prompt's last id. */
  readonly start: number;
  /** The right column at each position from `start` on. */
  readonly targets: readonly number[];
  /** The columns that the loss is over; examples with the same columns share one array. Without it the whole vocabulary. */
  readonly columns: readonly number[] | undefined;
}

/**
 * Returns a function that turns examples into tokens, once for each example object.
 *
 * If all labels are single tokens, the loss is over the labels only (measured as best); otherwise it is over the whole vocabulary at every
 * token of the answer and the end token.
 */
export function openPreparation(model: LoadedModel): (example: Example) => PreparedExample {
  const prepared = new WeakMap<Example, PreparedExample>();
  const columnsByTokens = new Map<string, readonly number[]>();
  const sharedColumns = (labels: readonly string[]) => {
    const tokens = labelTokens(model, labels);
    if (!tokens) return undefined;
    const key = tokens.join();
    const known = columnsByTokens.get(key);
    if (!known) columnsByTokens.set(key, tokens);
    return known ?? tokens;
  };
  const prepare = (example: Example): PreparedExample => {
    const { labels, answer } = example;
    if (labels && !labels.includes(answer))
      throw new ModelError(
        'MODEL_INPUT_INVALID',
        'step',
        `answer "${answer}" is not among the labels ${labels.join(', ')}`,
      );
    const prompt = promptIds(model, example);
    const start = prompt.length - 1;
    const columns = labels && sharedColumns(labels);
    if (labels && columns) return { ids: prompt, start, targets: [labels.indexOf(answer)], columns };
    const { endId } = model.tokenizer;
    const targets = [...answerIds(model, answer), ...(endId === undefined ? [] : [endId])];
    return { ids: [...prompt, ...targets.slice(0, -1)], start, targets, columns: undefined };
  };
  return (example) => {
    const known = prepared.get(example);
    if (known) return known;
    const made = prepare(example);
    prepared.set(example, made);
    return made;
  };
}

/** A batch of examples with their mean loss. */
interface LossItem {
  readonly batch: TokenBatch;
  readonly loss: LossRequest;
}

/** One item for all examples with the same columns, in the order of first appearance; `images` holds the features of each example. */
export function lossItems(
  model: LoadedModel,
  examples: readonly PreparedExample[],
  images: readonly (Float32Array | undefined)[],
): LossItem[] {
  const groups = new Map<
    readonly number[] | undefined,
    { example: PreparedExample; image: Float32Array | undefined }[]
  >();
  for (const [i, example] of examples.entries()) {
    const members = groups.get(example.columns) ?? [];
    members.push({ example, image: images[i] });
    groups.set(example.columns, members);
  }
  return [...groups].map(([columns, members]) => {
    const batch = batchOf(
      model,
      members.map(({ example }) => example.ids),
      members.map(({ image }) => image),
    );
    const wanted = members.flatMap(({ example: { start, targets } }, i) =>
      targets.map((target, j) => ({
        row: i * batch.time + start + j,
        target,
        weight: 1 / members.length / targets.length,
      })),
    );
    return {
      batch,
      loss: {
        rows: Int32Array.from(wanted, ({ row }) => row),
        targets: Int32Array.from(wanted, ({ target }) => target),
        weights: Float32Array.from(wanted, ({ weight }) => weight),
        ...(columns ? { columns } : {}),
      },
    };
  });
}
