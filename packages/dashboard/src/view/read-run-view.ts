/** Reads the view of a run from its directory. */
import { readFile } from 'node:fs/promises';
import { extname, join, relative, resolve, sep } from 'node:path';

import { type MetricsEntry, openRun, readMetrics } from '@contextlora/finetune';
import { ifThere } from '@contextlora/lora/files';

import { parsePlanView } from './parse-plan-view.js';
import { parseQuestionView } from './parse-question-view.js';
import type { RunView } from './run-view.js';
import { viewOfRun } from './view-of-run.js';

export interface ReadRunViewOptions {
  /** A file of `contextlora plan --json`, in place of the plan that the run has. */
  readonly planFile?: string;
}

/**
 * Reads a run, finished, stopped or at work, with the plan and the question that a demo leaves beside it.
 *
 * @throws what `openRun` of `@contextlora/finetune` throws; DashboardError `DASHBOARD_FILE_INVALID` for a plan or a question that is none.
 */
export async function readRunView(
  directory: string,
  { planFile = join(directory, 'plan.json') }: ReadRunViewOptions = {},
): Promise<RunView> {
  const run = await openRun(directory);
  const isGrowing = !run.isFinished;
  const entries: MetricsEntry[] | undefined = await ifThere(readMetrics(directory, { isGrowing }));
  const plan = await ifThere(readFile(planFile, 'utf8'));
  const questionFile = join(directory, 'question.json');
  const question = await ifThere(readFile(questionFile, 'utf8'));
  return {
    ...viewOfRun(run, entries ?? []),
    ...(plan === undefined ? {} : { plan: parsePlanView(plan, planFile) }),
    ...(question === undefined
      ? {}
      : { question: await parseQuestionView(question, questionFile, (path) => readImage(directory, path)) }),
  };
}

/** A picture within the run as a data URL; undefined where it is gone. */
async function readImage(directory: string, path: string): Promise<string | undefined> {
  const type = imageTypes[extname(path).toLowerCase()];
  const isOutside = relative(directory, resolve(directory, path)).split(sep)[0] === '..';
  if (type === undefined || isOutside) return undefined;
  const bytes = await ifThere(readFile(resolve(directory, path)));
  return bytes && `data:${type};base64,${bytes.toString('base64')}`;
}

const imageTypes: Readonly<Record<string, string>> = {
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.webp': 'image/webp',
};
