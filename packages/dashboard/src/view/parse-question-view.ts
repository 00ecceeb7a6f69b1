/** The question of a demo, with its answers. */
import * as z from 'zod';

import { parseJson } from './parse-json.js';
import type { QuestionView } from './run-view.js';

const schema = z.looseObject({
  text: z.string().optional(),
  image: z.string().optional(),
  answers: z.array(
    z.looseObject({
      task: z.string(),
      prompt: z.string().optional(),
      answer: z.string(),
      labels: z.array(z.string()).optional(),
      labelLogProbabilities: z.array(z.number()).optional(),
    }),
  ),
});

/** Reads its picture with `readImage`. @throws DashboardError `DASHBOARD_FILE_INVALID` when the text is anything else. */
export async function parseQuestionView(
  text: string,
  path: string,
  readImage: (path: string) => Promise<string | undefined>,
): Promise<QuestionView> {
  const read = parseJson(text, { path, schema, wanted: 'a question as "contextlora demo" writes it' });
  const image = read.image === undefined ? undefined : await readImage(read.image);
  return {
    ...(read.text === undefined ? {} : { text: read.text }),
    ...(image === undefined ? {} : { image }),
    answers: read.answers.map(({ task, prompt, answer, labels = [], labelLogProbabilities = [] }) => {
      const shares = labels
        .map((label, index) => [label, Math.exp(labelLogProbabilities[index] ?? NaN)] as const)
        .filter(([, share]) => Number.isFinite(share))
        .sort(([, a], [, b]) => b - a);
      return {
        task,
        answer,
        ...(prompt === undefined ? {} : { prompt }),
        ...(shares.length > 0 ? { labels: shares } : {}),
      };
    }),
  };
}
