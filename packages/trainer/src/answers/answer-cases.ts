/** The answers that parents may have given to one input, each combination with its probability. */
import type { Prediction } from '../training/trainable-model.js';

/** One combination of answers. */
export interface AnswerCase {
  /** Task → answer. */
  readonly answers: Readonly<Record<string, string>>;
  /** Natural logarithm. */
  readonly logProbability: number;
}

/** The cases as they differ in the answers of `tasks`; the probabilities of those that do not are added. */
export function mergeCases(cases: readonly AnswerCase[], tasks: readonly string[]): AnswerCase[] {
  const groups = new Map<string, { answers: Record<string, string>; logProbabilities: number[] }>();
  for (const { answers, logProbability } of cases) {
    const key = keyOf(answers, tasks);
    const group = groups.get(key) ?? {
      answers: Object.fromEntries(tasks.flatMap((task) => pairOf(answers, task))),
      logProbabilities: [],
    };
    group.logProbabilities.push(logProbability);
    groups.set(key, group);
  }
  return Array.from(groups.values(), ({ answers, logProbabilities }) => ({
    answers,
    logProbability: logSumExp(logProbabilities),
  }));
}

/** What a task answered to the cases that it can tell apart. */
export interface AskedTask {
  readonly task: string;
  /** The tasks whose answers its question contains. */
  readonly slots: readonly string[];
  readonly asked: readonly AnswerCase[];
  /** One for each of `asked`. */
  readonly predictions: readonly Prediction[];
  /** Empty for free answers, and where only the likeliest label counts. */
  readonly labels: readonly string[];
}

/** Each case with each label of the task, or with the one answer that the task gave. */
export function extendCases(
  cases: readonly AnswerCase[],
  { task, slots, asked, predictions, labels }: AskedTask,
): AnswerCase[] {
  const byKey = new Map(asked.map(({ answers }, i) => [keyOf(answers, slots), predictions[i]]));
  return cases.flatMap(({ answers, logProbability }) => {
    const prediction = byKey.get(keyOf(answers, slots));
    const scores = prediction?.labelLogProbabilities;
    if (labels.length === 0 || !scores)
      return [{ answers: { ...answers, [task]: prediction?.answer ?? '' }, logProbability }];
    return labels.map((label, i) => ({
      answers: { ...answers, [task]: label },
      logProbability: logProbability + (scores[i] ?? -Infinity),
    }));
  });
}

/** At most `most` of the likeliest cases, their probabilities scaled to a sum of 1. */
export function likeliestCases(cases: readonly AnswerCase[], most: number): AnswerCase[] {
  const kept = [...cases].sort((a, b) => b.logProbability - a.logProbability).slice(0, most);
  const total = logSumExp(kept.map(({ logProbability }) => logProbability));
  return kept.map(({ answers, logProbability }) => ({ answers, logProbability: logProbability - total }));
}

/** The mixture of the predictions for the cases of one input; the likeliest label, or the likeliest text, is its answer. */
export function marginalPrediction(
  asked: readonly AnswerCase[],
  predictions: readonly Prediction[],
  labels: readonly string[],
): Prediction {
  const [only] = predictions;
  if (predictions.length <= 1) return only ?? { answer: '' };
  if (predictions.every(({ labelLogProbabilities }) => labelLogProbabilities !== undefined)) {
    const labelLogProbabilities = labels.map((_, label) =>
      logSumExp(
        predictions.map(
          ({ labelLogProbabilities: scores }, i) => asked[i]!.logProbability + (scores?.[label] ?? -Infinity),
        ),
      ),
    );
    const best = labelLogProbabilities.indexOf(Math.max(...labelLogProbabilities));
    return { answer: labels[best] ?? '', labelLogProbabilities };
  }
  const texts = predictions.map(({ answer }, i) => ({
    answers: { answer },
    logProbability: asked[i]!.logProbability,
  }));
  return { answer: likeliestCases(mergeCases(texts, ['answer']), 1)[0]?.answers['answer'] ?? '' };
}

/** ln Σ exp(values), without overflow. */
function logSumExp(values: readonly number[]): number {
  const most = Math.max(...values);
  if (values.length === 1 || most === -Infinity) return most;
  return most + Math.log(values.reduce((sum, value) => sum + Math.exp(value - most), 0));
}

const pairOf = (answers: AnswerCase['answers'], task: string): [string, string][] =>
  answers[task] === undefined ? [] : [[task, answers[task]]];

const keyOf = (answers: AnswerCase['answers'], tasks: readonly string[]): string =>
  JSON.stringify(tasks.map((task) => answers[task]));
