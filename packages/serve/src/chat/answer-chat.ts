/** A question asked of the engine, with all tasks that its answer builds on. */
import { answerQuestions, type ComposedAnswer } from '@contextlora/finetune';
import { answerIds, type AnswerPrediction, type Example, promptIds, readImage } from '@contextlora/model';

import type { Engine } from '../engine/engine.js';
import type { ChatQuestion } from './read-chat.js';
import type { ServedRun } from './served-run.js';

export interface ChatAnswer {
  /** All that the answer builds on; the answer itself comes last. */
  readonly answers: readonly ComposedAnswer[];
  readonly finish: 'stop' | 'length';
  /** Tokens read and written by all tasks that were asked. */
  readonly promptTokens: number;
  readonly answerTokens: number;
}

interface AnswerOptions {
  readonly engine: Engine;
  readonly signal: AbortSignal;
  /** Told of each piece of a written answer; an answer that is chosen, or a mixture, comes whole. */
  readonly onText?: (text: string) => void;
}

/** The most tokens of a written answer that another builds on, as in training. */
const parentTokens = 128;

export async function answerChat(
  served: ServedRun,
  { question, picture, answers: mode, writing }: ChatQuestion,
  { engine, signal, onText }: AnswerOptions,
): Promise<ChatAnswer> {
  const { base, run } = served;
  const tokens = { prompt: 0, answer: 0 };
  let finish: ChatAnswer['finish'] = 'stop';
  const vision = base.spec.vision;
  const image = picture && vision && (await engine.see(await readImage(picture, vision), signal));

  const ask = async (task: string, example: Example): Promise<AnswerPrediction> => {
    const ids = promptIds(base, example);
    const segments = served.segmentsOf(task);
    const prompt = { segments, ...(example.image !== undefined && image ? { image } : {}) };
    tokens.prompt += ids.length;
    if (example.labels) {
      const choice = await engine.choose({ ...prompt, ids, labels: example.labels }, signal);
      tokens.answer += answerIds(base, choice.answer, ids).length - 1;
      return choice;
    }
    const isAsked = task === question.task;
    const constraint = isAsked ? writing.constraint : example.schema && served.constraintOf(example.schema);
    const { maximumNewTokens = parentTokens, ...sampling } = isAsked ? writing : {};
    const written = await engine.write(
      {
        ...prompt,
        ...sampling,
        prompt: ids,
        maximumNewTokens: isAsked ? maximumNewTokens : Math.max(parentTokens, constraint?.minimumTokens ?? 0),
        ...(constraint ? { constraint } : {}),
      },
      // A mixture is not known before all of it is.
      { signal, ...(isAsked && mode === 'hard' && onText ? { onText: trimmed(onText) } : {}) },
    );
    tokens.answer += written.tokens;
    if (isAsked) finish = written.finish === 'length' ? 'length' : 'stop';
    return { answer: written.text.trim() };
  };

  const model = {
    predict: (task: string, examples: readonly Example[]) =>
      Promise.all(examples.map((example) => ask(task, example))),
  };
  let answers: readonly ComposedAnswer[] = [];
  for await (const composed of answerQuestions(model, run.graph, [question], { answers: mode }))
    answers = composed;
  return { answers, finish, promptTokens: tokens.prompt, answerTokens: tokens.answer };
}

/** Passes on the pieces of a text without the white space around it. */
function trimmed(onText: (text: string) => void): (piece: string) => void {
  let isBegun = false;
  let held = '';
  return (piece) => {
    const text = held + (isBegun ? piece : piece.trimStart());
    const sure = text.trimEnd();
    held = text.slice(sure.length);
    if (sure === '') return;
    isBegun = true;
    onText(sure);
  };
}
