/**
 * The model at work for many callers: what they ask at the same time, of whatever task, shares passes. Between two passes the event loop
 * turns, so that new requests arrive.
 */
import { setImmediate } from 'node:timers/promises';

import {
  type AnswerRow,
  type GenerateRequest,
  type LabelChoice,
  type LabelQuestion,
  type LoadedModel,
  openAnswerBatch,
  openAnswerRow,
  openLabelChoice,
  type RowStep,
  visionFeatures,
} from '@contextlora/model';

import { type Job, openWorkQueue } from './work-queue.js';

interface WrittenAnswer {
  readonly text: string;
  /** The tokens of the answer, without its end. */
  readonly tokens: number;
  readonly finish: 'end' | 'stop' | 'length';
}

interface WriteOptions {
  readonly signal: AbortSignal;
  /** Told of every piece of the answer as it becomes certain. */
  readonly onText?: (text: string) => void;
}

export type PassKind = 'picture' | 'labels' | 'prompts' | 'tokens';

export interface EngineOptions {
  /** The most prompts of a pass, and answers that are written at the same time. */
  readonly batchSize: number;
  /** Told of every pass, and of how many prompts, pictures or answers it was for. */
  readonly onPass?: (kind: PassKind, size: number) => void;
}

/** Every promise rejects with the reason of the signal once that aborts. */
export interface Engine {
  /** The features of a picture, given as the normalised image `[3, size, size]`. */
  see(image: Float32Array, signal: AbortSignal): Promise<Float32Array>;
  choose(question: LabelQuestion, signal: AbortSignal): Promise<LabelChoice>;
  /** @throws ModelError at once when the request cannot be begun. */
  write(request: GenerateRequest, options: WriteOptions): Promise<WrittenAnswer>;
  /** Resolves when nothing is under way any more. */
  idle(): Promise<void>;
}

interface Writing {
  readonly row: AnswerRow;
  readonly onText?: ((text: string) => void) | undefined;
}

/** The normalised images that the tower reads at once. */
const pictureBytes = 2 ** 24;

export function openEngine(
  model: LoadedModel,
  { batchSize, onPass = () => undefined }: EngineOptions,
): Engine {
  const start = () => {
    running ??= work().finally(() => {
      running = undefined;
    });
  };
  const pictures = openWorkQueue<Float32Array, Float32Array>(start);
  const labels = openWorkQueue<LabelQuestion, LabelChoice>(start);
  const prompts = openWorkQueue<Writing, WrittenAnswer>(start);
  const batch = openAnswerBatch(model);
  const chooseLabels = openLabelChoice(model);
  const writing = new Map<AnswerRow, Job<Writing, WrittenAnswer>>();
  let running: Promise<void> | undefined;

  const see = (images: readonly Float32Array[]): Promise<Float32Array[]> => {
    const { vision, spec, kernels } = model;
    if (!vision || !spec.vision) throw new Error('internal: a picture for a model without a vision tower');
    return visionFeatures(images, vision, { spec: spec.vision, kernels });
  };
  const picturesAtOnce = Math.max(
    1,
    Math.min(batchSize, Math.floor(pictureBytes / (12 * (model.spec.vision?.imageSizePixels ?? 1) ** 2))),
  );

  const settle = (steps: readonly RowStep[]) => {
    for (const { row, event, error } of steps) {
      const job = writing.get(row);
      if (event) job?.work.onText?.(event.text);
      if (error === undefined && row.finish === undefined) continue;
      writing.delete(row);
      if (error !== undefined) job?.fail(error);
      else job?.done(writtenBy(row));
    }
  };
  const failAll = (rows: readonly AnswerRow[], error: unknown) => {
    settle(rows.map((row) => ({ row, error })));
    batch.drop(rows);
  };
  const join = async (jobs: readonly Job<Writing, WrittenAnswer>[]): Promise<void> => {
    const rows = jobs.map((job) => job.work.row);
    for (const job of jobs) writing.set(job.work.row, job);
    if (rows.length > 0) onPass('prompts', rows.length);
    try {
      settle(await batch.join(rows));
    } catch (error) {
      failAll(rows, error);
    }
  };
  const step = async (): Promise<void> => {
    const left = batch.rows.filter((row) => writing.get(row)?.signal.aborted !== false);
    for (const row of left) writing.delete(row);
    batch.drop(left);
    if (batch.rows.length > 0) onPass('tokens', batch.rows.length);
    try {
      settle(await batch.step());
    } catch (error) {
      failAll(batch.rows, error);
    }
  };
  const work = async (): Promise<void> => {
    while (pictures.size + labels.size + prompts.size + batch.rows.length > 0) {
      // What arrives together is done together.
      await setImmediate();
      await together(pictures.take(picturesAtOnce), see, (size) => {
        onPass('picture', size);
      });
      await together(bySegments(labels.take(batchSize)), chooseLabels, (size) => {
        onPass('labels', size);
      });
      await join(prompts.take(batchSize - batch.rows.length));
      await step();
    }
  };

  return {
    see: (image, signal) => pictures.add(image, signal),
    choose: (question, signal) => labels.add(question, signal),
    async write(request, { signal, onText }) {
      const row = openAnswerRow(model, request, 0);
      return row.finish === undefined ? prompts.add({ row, onText }, signal) : writtenBy(row);
    },
    async idle() {
      await running;
    },
  };
}

const writtenBy = ({ text, ids, finish }: AnswerRow): WrittenAnswer => ({
  text,
  tokens: ids.length,
  finish: finish ?? 'length',
});

/** Prompts of the same task next to each other, which one multiplication serves. */
const bySegments = <Out>(jobs: readonly Job<LabelQuestion, Out>[]): Job<LabelQuestion, Out>[] =>
  [...new Set(jobs.map(({ work }) => work.segments))].flatMap((segments) =>
    jobs.filter(({ work }) => work.segments === segments),
  );

/** Does all jobs in one go; if that fails, each alone, so that one does not make the others fail. */
async function together<In, Out>(
  jobs: readonly Job<In, Out>[],
  doAll: (works: readonly In[]) => Promise<Out[]>,
  onPass: (size: number) => void,
): Promise<void> {
  if (jobs.length === 0) return;
  onPass(jobs.length);
  try {
    const results = await doAll(jobs.map(({ work }) => work));
    for (const [i, job] of jobs.entries()) job.done(results[i]!);
  } catch (error) {
    const [only] = jobs;
    if (jobs.length === 1) only?.fail(error);
    else for (const job of jobs) await together([job], doAll, onPass);
  }
}
