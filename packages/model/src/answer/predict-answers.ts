/** Answers to examples: the best of the given labels, or greedy text. */
import type { LoadedModel } from '../checkpoint/load-model.js';
import { type ImageFeatures, imageFeaturesOf } from '../images/features.js';
import { languageLogits } from '../pass/language-pass.js';
import type { SegmentsByLinear } from '../pass/segments.js';
import { batchOf } from '../pass/token-batch.js';
import { type Example, labelTokens, promptIds } from '../text/example.js';
import type { GenerateRequest } from './answer-row.js';
import { generateBatch } from './generate.js';
import { scoreLabels } from './score-labels.js';

export interface AnswerPrediction {
  readonly answer: string;
  /** For each label, in the order given, normalised over the labels. */
  readonly labelLogProbabilities?: readonly number[];
}

interface PredictOptions {
  readonly features: ImageFeatures;
  readonly segments: SegmentsByLinear;
  readonly batchSize: number;
  /** The limit of a free-text answer. */
  readonly maximumNewTokens?: number;
}

/** Answers all examples, `batchSize` prompts at a time. */
export async function predictAnswers(
  model: LoadedModel,
  examples: readonly Example[],
  { features, segments, batchSize, maximumNewTokens = 32 }: PredictOptions,
): Promise<AnswerPrediction[]> {
  const answers: AnswerPrediction[] = [];
  for (let at = 0; at < examples.length; at += batchSize) {
    const slice = examples.slice(at, at + batchSize);
    const images = await imageFeaturesOf(slice, features);
    if (slice.every(({ labels }) => labels && labelTokens(model, labels)))
      answers.push(...(await scoreSingleTokens(model, slice, { images, segments })));
    else {
      const texts = await generateTexts(model, slice, { images, segments, maximumNewTokens });
      for (const [i, example] of slice.entries())
        answers.push(
          texts.get(example) ?? (await scoreSequences(model, example, { image: images[i], segments })),
        );
    }
  }
  return answers;
}

async function scoreSingleTokens(
  model: LoadedModel,
  examples: readonly Example[],
  { images, segments }: { images: readonly (Float32Array | undefined)[]; segments: SegmentsByLinear },
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

/** Scores labels of several tokens by the sum of their tokens' log-probabilities over the whole vocabulary. */
async function scoreSequences(
  model: LoadedModel,
  example: Example,
  { image, segments }: { image: Float32Array | undefined; segments: SegmentsByLinear },
): Promise<AnswerPrediction> {
  const labels = example.labels ?? [];
  const scores = await scoreLabels(model, promptIds(model, example), labels, { image, segments });
  return bestLabel(
    labels,
    scores.map(({ logProbability }) => logProbability),
  );
}

/** Generates greedy text for the examples without labels, all in one batch. */
async function generateTexts(
  model: LoadedModel,
  examples: readonly Example[],
  {
    images,
    segments,
    maximumNewTokens,
  }: {
    images: readonly (Float32Array | undefined)[];
    segments: SegmentsByLinear;
    maximumNewTokens: number;
  },
): Promise<Map<Example, AnswerPrediction>> {
  const free = [...examples.entries()].filter(([, { labels }]) => !labels);
  const rows = generateBatch(
    model,
    free.map(([i, example]): GenerateRequest => {
      const image = images[i];
      return {
        prompt: promptIds(model, example),
        segments,
        maximumNewTokens,
        ...(image ? { image } : {}),
      };
    }),
  );
  for (;;) {
    const { done, value } = await rows.next();
    if (done)
      return new Map(free.map(([, example], i) => [example, { answer: (value[i]?.text ?? '').trim() }]));
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
