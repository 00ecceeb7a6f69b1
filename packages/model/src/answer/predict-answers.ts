/** Answers to examples: the likeliest of the given labels, or greedy text. */
import type { LoadedModel } from '../checkpoint/load-model.js';
import { featuresOf, type ImageFeatures } from '../images/features.js';
import type { SegmentsByLinear } from '../pass/segments.js';
import { type Example, promptIds } from '../text/example.js';
import type { GenerateRequest } from './answer-row.js';
import type { TokenConstraint } from './constraint.js';
import { type LabelQuestion, openLabelChoice } from './choose-labels.js';
import { generateBatch } from './generate.js';
import { jsonConstraint } from './json-constraint.js';

export interface AnswerPrediction {
  readonly answer: string;
  /** For each label, in the order given, ln p(label, end | prompt), normalised over the labels. */
  readonly labelLogProbabilities?: readonly number[];
}

interface PredictOptions {
  readonly features: ImageFeatures;
  readonly segments: SegmentsByLinear;
  readonly batchSize: number;
  /** The most tokens of a free-text answer, without its end. */
  readonly maximumNewTokens: number;
}

/** Answers all examples, `batchSize` prompts at a time. */
export async function predictAnswers(
  model: LoadedModel,
  examples: readonly Example[],
  { features, segments, batchSize, maximumNewTokens }: PredictOptions,
): Promise<AnswerPrediction[]> {
  const choose = openLabelChoice(model);
  const constraintOf = openConstraints(model);
  const answers = new Array<AnswerPrediction>(examples.length);
  for (let start = 0; start < examples.length; start += batchSize) {
    const slice = examples.slice(start, start + batchSize);
    const { images, sounds } = await featuresOf(slice, features);
    const choices: { at: number; question: LabelQuestion }[] = [];
    const texts: { at: number; request: GenerateRequest }[] = [];
    for (const [i, example] of slice.entries()) {
      const [at, ids, image, audio] = [start + i, promptIds(model, example), images[i], sounds[i]];
      const { labels, schema } = example;
      if (labels) choices.push({ at, question: { ids, image, audio, segments, labels } });
      else {
        const constraint = schema && constraintOf(schema);
        const limit = Math.max(maximumNewTokens, constraint?.minimumTokens ?? 0);
        const request = { prompt: ids, segments, maximumNewTokens: limit };
        texts.push({
          at,
          request: {
            ...request,
            ...(image ? { image } : {}),
            ...(audio ? { audio } : {}),
            ...(constraint ? { constraint } : {}),
          },
        });
      }
    }
    const chosen = await choose(choices.map(({ question }) => question));
    for (const [i, { at }] of choices.entries()) answers[at] = chosen[i] ?? { answer: '' };
    const written = await writeTexts(
      model,
      texts.map(({ request }) => request),
    );
    for (const [i, { at }] of texts.entries()) answers[at] = { answer: (written[i] ?? '').trim() };
  }
  return answers;
}

/** The constraint of each schema, made once: it sorts the whole vocabulary. */
function openConstraints(model: LoadedModel): (schema: object) => TokenConstraint {
  const made = new Map<object, TokenConstraint>();
  return (schema) => {
    const constraint =
      made.get(schema) ?? jsonConstraint(model.tokenizer, schema, { where: "the schema of a task's answer" });
    made.set(schema, constraint);
    return constraint;
  };
}

async function writeTexts(model: LoadedModel, requests: readonly GenerateRequest[]): Promise<string[]> {
  const rows = generateBatch(model, requests);
  for (;;) {
    const { done, value } = await rows.next();
    if (done) return value.map(({ text }) => text);
  }
}
