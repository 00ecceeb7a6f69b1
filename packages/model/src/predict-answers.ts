/** Answers to prompts: the best of given labels, or text word by word. */
import type { ModelExample } from './example.js';
import type { ImageFeatures } from './image-features.js';
import { languageLogits, type SegmentsByLayer } from './language-pass.js';
import type { LoadedModel } from './load-model.js';
import { answerIds, batchOf, promptIds } from './token-rows.js';

export interface AnswerPrediction {
  readonly answer: string;
  /** Per label, in the order given, normalised over them. */
  readonly labelLogProbabilities?: readonly number[];
}

export interface PredictOptions {
  readonly features: ImageFeatures;
  readonly segments: SegmentsByLayer;
  readonly batchSize?: number;
  /** Of a free-text answer. */
  readonly maximumNewTokens?: number;
}

/** Answers all examples, `batchSize` prompts at a time. */
export async function predictAnswers(
  model: LoadedModel,
  examples: readonly ModelExample[],
  { features, segments, batchSize = 64, maximumNewTokens = 32 }: PredictOptions,
): Promise<AnswerPrediction[]> {
  const answers: AnswerPrediction[] = [];
  for (let at = 0; at < examples.length; at += batchSize) {
    const slice = examples.slice(at, at + batchSize);
    const images = await imagesOf(slice, features);
    if (slice.every(({ labels }) => labels && labelTokens(model, labels)))
      answers.push(...scoreSingleTokens(model, slice, { images, segments }));
    else
      for (const [i, example] of slice.entries())
        answers.push(
          example.labels
            ? scoreSequences(model, example, { image: images[i], segments })
            : generate(model, example, { image: images[i], segments, maximumNewTokens }),
        );
  }
  return answers;
}

/** The one token of each label, if every label is one token and no two share it. */
export function labelTokens(model: LoadedModel, labels: readonly string[]): number[] | undefined {
  const ids = labels.map((label) => answerIds(model, label));
  const single = ids.flatMap((sequence) => (sequence.length === 1 ? sequence : []));
  return single.length === labels.length && new Set(single).size === labels.length ? single : undefined;
}

/** The features of each example's image, where it has one. */
export async function imagesOf(
  examples: readonly ModelExample[],
  features: ImageFeatures,
): Promise<(Float32Array | undefined)[]> {
  const paths = examples.flatMap(({ image }) => (image === undefined ? [] : [image]));
  const found = await features.get(paths);
  let next = 0;
  return examples.map(({ image }) => (image === undefined ? undefined : found[next++]));
}

function scoreSingleTokens(
  model: LoadedModel,
  examples: readonly ModelExample[],
  { images, segments }: { images: readonly (Float32Array | undefined)[]; segments: SegmentsByLayer },
): AnswerPrediction[] {
  const rows = examples.map((example) => promptIds(model, example));
  const tokens = batchOf(model, rows, images);
  const columns = [...new Set(examples.flatMap(({ labels = [] }) => labelTokens(model, labels) ?? []))];
  const logits = languageLogits(model, tokens, {
    head: { rows: Int32Array.from(rows, (row, i) => i * tokens.time + row.length - 1), columns },
    segments,
  });
  const values = logits.dataSync();
  logits.dispose();
  return examples.map(({ labels = [] }, i) => {
    const ids = labelTokens(model, labels) ?? [];
    return bestLabel(
      labels,
      ids.map((id) => values[i * columns.length + columns.indexOf(id)] ?? -Infinity),
    );
  });
}

/** Labels of several tokens: the sum of their tokens' log-probabilities over the whole vocabulary. */
function scoreSequences(
  model: LoadedModel,
  example: ModelExample,
  { image, segments }: { image: Float32Array | undefined; segments: SegmentsByLayer },
): AnswerPrediction {
  const labels = example.labels ?? [];
  const prompt = promptIds(model, example);
  const sequences = labels.map((label) => answerIds(model, label));
  const tokens = batchOf(
    model,
    sequences.map((sequence) => [...prompt, ...sequence]),
    labels.map(() => image),
  );
  const wanted = sequences.flatMap((sequence, i) =>
    sequence.map((id, j) => ({ label: i, id, row: i * tokens.time + prompt.length + j - 1 })),
  );
  const logits = languageLogits(model, tokens, {
    head: { rows: Int32Array.from(wanted, ({ row }) => row) },
    segments,
  });
  const values = logits.dataSync() as Float32Array;
  const columns = logits.shape[1];
  logits.dispose();
  const scores = labels.map(() => 0);
  for (const [i, { label, id }] of wanted.entries()) {
    const row = values.subarray(i * columns, (i + 1) * columns);
    scores[label] = (scores[label] ?? 0) + (row[id] ?? -Infinity) - logSumExp(row);
  }
  return bestLabel(labels, scores);
}

/** Greedy text until the end token or the limit. */
function generate(
  model: LoadedModel,
  example: ModelExample,
  {
    image,
    segments,
    maximumNewTokens,
  }: { image: Float32Array | undefined; segments: SegmentsByLayer; maximumNewTokens: number },
): AnswerPrediction {
  const ids = promptIds(model, example);
  const start = ids.length;
  while (ids.length < start + maximumNewTokens) {
    const tokens = batchOf(model, [ids], [image]);
    const logits = languageLogits(model, tokens, { head: { rows: Int32Array.of(ids.length - 1) }, segments });
    const values = logits.dataSync();
    logits.dispose();
    const best = values.indexOf(Math.max(...values));
    if (best === model.tokenizer.endId) break;
    ids.push(best);
  }
  return { answer: model.tokenizer.decode(ids.slice(start), { skipSpecialTokens: true }).trim() };
}

function bestLabel(labels: readonly string[], scores: readonly number[]): AnswerPrediction {
  const total = logSumExp(scores);
  const best = scores.indexOf(Math.max(...scores));
  return { answer: labels[best] ?? '', labelLogProbabilities: scores.map((score) => score - total) };
}

function logSumExp(values: Iterable<number>): number {
  let highest = -Infinity;
  for (const value of values) highest = Math.max(highest, value);
  let sum = 0;
  for (const value of values) sum += Math.exp(value - highest);
  return highest + Math.log(sum);
}
