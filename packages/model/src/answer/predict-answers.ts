/** Answers to prompts: the best of given labels, or text word by word. */
import type { ModelExample } from '../text/example.js';
import { generateBatch, type GenerateRequest } from './generate.js';
import type { ImageFeatures } from '../images/features.js';
import { languageLogits, type SegmentsByLayer } from '../pass/language-pass.js';
import type { LoadedModel } from '../checkpoint/load-model.js';
import { scoreLabels } from './score-labels.js';
import { answerIds, batchOf, promptIds } from '../text/token-rows.js';

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
      answers.push(...(await scoreSingleTokens(model, slice, { images, segments })));
    else {
      const texts = await generateTexts(model, slice, { images, segments, maximumNewTokens });
      for (const [i, example] of slice.entries())
        answers.push(texts.get(i) ?? (await scoreSequences(model, example, { image: images[i], segments })));
    }
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

async function scoreSingleTokens(
  model: LoadedModel,
  examples: readonly ModelExample[],
  { images, segments }: { images: readonly (Float32Array | undefined)[]; segments: SegmentsByLayer },
): Promise<AnswerPrediction[]> {
  const rows = examples.map((example) => promptIds(model, example));
  const tokens = batchOf(model, rows, images);
  const columns = [...new Set(examples.flatMap(({ labels = [] }) => labelTokens(model, labels) ?? []))];
  const logits = languageLogits(model, tokens, {
    head: { rows: Int32Array.from(rows, (row, i) => i * tokens.time + row.length - 1), columns },
    segments,
  });
  const values = await logits.data();
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
async function scoreSequences(
  model: LoadedModel,
  example: ModelExample,
  { image, segments }: { image: Float32Array | undefined; segments: SegmentsByLayer },
): Promise<AnswerPrediction> {
  const labels = example.labels ?? [];
  const scores = await scoreLabels(model, promptIds(model, example), labels, { image, segments });
  return bestLabel(
    labels,
    scores.map(({ logProbability }) => logProbability),
  );
}

/** Greedy text for the examples without labels, by their index; all in one batch. */
async function generateTexts(
  model: LoadedModel,
  examples: readonly ModelExample[],
  {
    images,
    segments,
    maximumNewTokens,
  }: {
    images: readonly (Float32Array | undefined)[];
    segments: SegmentsByLayer;
    maximumNewTokens: number;
  },
): Promise<Map<number, AnswerPrediction>> {
  const free = [...examples.keys()].filter((i) => !examples[i]!.labels);
  const rows = generateBatch(
    model,
    free.map((i): GenerateRequest => {
      const image = images[i];
      return {
        prompt: promptIds(model, examples[i]!),
        segments,
        maximumNewTokens,
        ...(image ? { image } : {}),
      };
    }),
  );
  for (;;) {
    const { done, value } = await rows.next();
    if (done) return new Map(value.map(({ text }, i) => [free[i]!, { answer: text.trim() }]));
  }
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
