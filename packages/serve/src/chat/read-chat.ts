/** From a chat request to a question that can be asked: checked against its task before any work is done. */
import { questionProblems, type Question } from '@contextlora/finetune';
import {
  checkPicture,
  type GenerateOptions,
  ModelError,
  type PictureSource,
  type TokenConstraint,
} from '@contextlora/model';
import type { TaskSpec } from '@contextlora/task-graph';
import type { AnswerMode } from '@contextlora/trainer';

import { ServeError } from '../serve-error.js';
import type { ServerLimits } from '../server-options.js';
import type { ChatRequest } from './chat-schema.js';
import { bytesOfDataUrl } from './data-url.js';
import { requireTask, type ServedRun } from './served-run.js';

/** How the answer of the asked task is written, if it is free text. */
type WriteSettings = Pick<GenerateOptions, 'temperature' | 'topP' | 'seed' | 'stop' | 'maximumNewTokens'> & {
  readonly constraint?: TokenConstraint;
};

export interface ChatQuestion {
  /** `image` is the name of the picture. */
  readonly question: Question;
  readonly picture?: Exclude<PictureSource, string>;
  readonly answers: AnswerMode;
  readonly writing: WriteSettings;
}

/** The longest JSON schema of a request, in characters. */
const longestSchema = 2 ** 14;
/** As in training. */
const usualTokens = 128;

/** @throws ServeError (`SERVE_TASK_UNKNOWN`, `SERVE_TOO_LARGE`, `SERVE_INPUT_INVALID` listing all that the task cannot be asked). */
export async function readChat(
  served: ServedRun,
  request: ChatRequest,
  limits: Pick<ServerLimits, 'maximumPixels' | 'maximumTokens'>,
): Promise<ChatQuestion> {
  const spec = requireTask(served.run, request.model, 'model');
  const writing = writingOf(served, spec, request, limits);
  const { text, picture } = contentOf(request);
  const { given, answers = 'hard' } = request.contextlora ?? {};
  const question: Question = {
    task: spec.id,
    ...(text === '' ? {} : { text }),
    ...(picture ? { image: picture.name } : {}),
    ...(given ? { given } : {}),
  };
  const problems = await questionProblems(served.run, question, {
    checkImage: () => (picture ? checkSize(picture, limits) : Promise.resolve()),
  });
  const length = problems.length === 0 ? served.lengthProblem(question) : undefined;
  const all = [...problems, ...(length === undefined ? [] : [length])].map((problem) =>
    problem.replace(/^model\/\w+: /, ''),
  );
  if (all.length > 0) throw invalid(all.join('; '), 'messages');
  return { question, answers, writing, ...(picture ? { picture } : {}) };
}

function contentOf({ messages }: ChatRequest): {
  readonly text: string;
  readonly picture?: Exclude<PictureSource, string>;
} {
  const content = messages[0]?.content ?? '';
  if (typeof content === 'string') return { text: content };
  const texts = content.flatMap((part) => (part.type === 'text' ? [part.text] : []));
  const images = content.flatMap((part, i) =>
    part.type === 'image_url'
      ? [{ url: part.image_url.url, place: `messages[0].content[${i}].image_url.url` }]
      : [],
  );
  const [image, second] = images;
  if (second) throw invalid(`${second.place} is a second picture; a task takes one`, second.place);
  return {
    text: texts.join('\n'),
    ...(image ? { picture: { name: image.place, bytes: bytesOfDataUrl(image.url, image.place) } } : {}),
  };
}

async function checkSize(
  picture: Exclude<PictureSource, string>,
  { maximumPixels }: Pick<ServerLimits, 'maximumPixels'>,
): Promise<void> {
  const { width, height } = await checkPicture(picture);
  if (width * height > maximumPixels)
    throw new ServeError(
      'SERVE_TOO_LARGE',
      'chat',
      `${picture.name} has ${width} × ${height} pixels, and at most ${maximumPixels} are read; make it smaller`,
      { parameter: picture.name },
    );
}

/** @throws ServeError for what a label task does not do, and for what this server does not allow. */
function writingOf(
  served: ServedRun,
  { id, answer }: TaskSpec,
  request: ChatRequest,
  { maximumTokens }: Pick<ServerLimits, 'maximumTokens'>,
): WriteSettings {
  const { temperature, top_p, seed, stop, max_tokens, max_completion_tokens } = request;
  const schema =
    request.response_format?.type === 'json_schema' ? request.response_format.json_schema.schema : undefined;
  const tokens = max_completion_tokens ?? max_tokens;
  if (answer.type === 'label') {
    const sampling = {
      temperature: (temperature ?? 0) > 0,
      top_p: (top_p ?? 1) < 1,
      stop: stop !== null && stop !== undefined,
      max_tokens: tokens !== null && tokens !== undefined,
      response_format: schema !== undefined,
    };
    const unusable = Object.entries(sampling).flatMap(([name, isAsked]) => (isAsked ? [name] : []));
    if (unusable.length > 0)
      throw invalid(
        `task "${id}" chooses one of its labels, each scored and none sampled; leave out ${unusable.join(', ')}`,
        unusable[0] ?? '',
      );
    return {};
  }
  if (answer.type === 'json' && schema)
    throw invalid(`task "${id}" has a schema of its own; leave out response_format`, 'response_format');
  if ((tokens ?? 0) > maximumTokens)
    throw invalid(`max_tokens is ${tokens ?? 0}, and at most ${maximumTokens} are written`, 'max_tokens');
  const form = answer.type === 'json' ? answer.schema : schema;
  const constraint = form && constraintOf(served, form);
  const usual = Math.min(maximumTokens, Math.max(usualTokens, constraint?.minimumTokens ?? 0));
  return {
    maximumNewTokens: tokens ?? usual,
    temperature: temperature ?? 0,
    ...(typeof top_p === 'number' ? { topP: top_p } : {}),
    ...(typeof seed === 'number' ? { seed } : {}),
    ...(stop === null || stop === undefined ? {} : { stop: typeof stop === 'string' ? [stop] : stop }),
    ...(constraint ? { constraint } : {}),
  };
}

function constraintOf({ constraintOf }: ServedRun, schema: object): TokenConstraint {
  const { length } = JSON.stringify(schema);
  if (length > longestSchema)
    throw new ServeError(
      'SERVE_TOO_LARGE',
      'chat',
      `the schema has ${length} characters, and at most ${longestSchema} are read`,
      { parameter: 'response_format' },
    );
  try {
    return constraintOf(schema);
  } catch (cause) {
    if (!(cause instanceof ModelError)) throw cause;
    throw invalid(cause.message.replace(/^[^:]*: /, ''), 'response_format', { cause });
  }
}

const invalid = (what: string, parameter: string, options: ErrorOptions = {}) =>
  new ServeError('SERVE_INPUT_INVALID', 'chat', what, { parameter, ...options });
