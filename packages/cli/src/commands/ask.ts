/** `contextlora ask`: a question to a trained run, answered with all that its answer builds on. */
import {
  type ComposedAnswer,
  type NumberedQuestion,
  openRun,
  type OpenedRun,
  type Question,
  questionProblems,
  readQuestions,
  requireTrained,
} from '@contextlora/finetune';
import type { AnswerMode } from '@contextlora/trainer';
import { Option } from 'commander';

import { CliError } from '../cli-error.js';
import { type CommandContext, untilStopped } from '../command-context.js';
import type { CommandSetup } from '../command-setup.js';
import { helpExamples } from '../help-examples.js';
import { collect, naturalNumber } from '../option-values.js';
import { createProgress } from '../terminal/progress.js';
import { percent } from '../terminal/table.js';
import { askRun } from './ask-run.js';

interface AskOptions {
  readonly task?: string;
  readonly text?: string;
  readonly image?: string;
  readonly audio?: string;
  readonly given?: readonly string[];
  readonly questions?: string;
  readonly answers: AnswerMode;
  readonly json: boolean;
  readonly model?: string;
  readonly threads: number;
}

export function addAskCommand({ program, context, world, run }: CommandSetup): void {
  program
    .command('ask <run>')
    .description('ask a trained run a question, or a file of them')
    .option('--task <name>', 'task to ask (default: the one that no other builds on)')
    .option('--text <text>', 'text for the slot {text}')
    .option('--image <file>', 'picture')
    .option('--audio <file>', 'sound: WAV, FLAC, MP3 or Ogg Vorbis')
    .option('--given <task=answer>', 'an answer that is known; that task is not asked (repeatable)', collect)
    .option(
      '--questions <file>',
      'JSONL file with one question per line: id, task, text, image, audio, given',
    )
    .addOption(answersOption())
    .option('--json', 'print one JSON object per question', false)
    .option('--model <path>', 'where the model is now, if it has moved')
    .option('--threads <n>', 'threads per native operation', naturalNumber, 1)
    .addHelpText(
      'after',
      helpExamples([
        ['contextlora ask run --image scene.png --text "limit 50 ."', 'ask the last task of the graph'],
        ['contextlora ask run --task road --image scene.png --given weather=snow', 'ask with a known answer'],
        ['contextlora ask run --questions questions.jsonl > answers.jsonl', 'answer many'],
      ]),
    )
    .action((directory: string, options: AskOptions) =>
      run(() =>
        runAsk(directory, options, {
          ...context,
          // What is printed may be read by a program.
          progress: createProgress(world.errorOutput, context),
        }),
      ),
    );
}

/** How parents' answers are passed on. */
export const answersOption = (): Option =>
  new Option(
    '--answers <mode>',
    'what a task is told of the answers it builds on: the likeliest (hard), or a mixture of all, weighted with their probabilities (marginal)',
  )
    .choices(['hard', 'marginal'])
    .default('hard');

async function runAsk(directory: string, options: AskOptions, context: CommandContext): Promise<void> {
  const { output, signal } = context;
  const run = await openRun(directory);
  const questions = await questionsOf(run, options);
  const isMany = options.questions !== undefined;
  const all = askRun(run, questions, options, context);
  let next = 0;
  for await (const answers of untilStopped(all, signal)) {
    const { id } = questions[next++] ?? {};
    const lines = isMany || options.json ? [jsonOf(answers, id)] : tableOf(answers);
    output.write(lines.map((line) => `${line}\n`).join(''));
  }
}

async function questionsOf(run: OpenedRun, options: AskOptions): Promise<NumberedQuestion[]> {
  const { task, text, image, audio, given, questions } = options;
  if (questions !== undefined) {
    const others = Object.entries({ text, image, audio, given }).filter(([, value]) => value !== undefined);
    if (others.length > 0)
      throw invalid(
        `--questions names a file that has its own; leave out ${others.map(([key]) => `--${key}`).join(', ')}`,
      );
    return readQuestions(questions, run, task === undefined ? {} : { task });
  }
  const asked = task ?? lastTask(run);
  requireTrained(run, asked);
  const question: Question = {
    task: asked,
    ...(text === undefined ? {} : { text }),
    ...(image === undefined ? {} : { image }),
    ...(audio === undefined ? {} : { audio }),
    ...(given === undefined ? {} : { given: Object.fromEntries(given.map(pairOf)) }),
  };
  const problems = await questionProblems(run, question);
  if (problems.length > 0) throw invalid(problems.join('\n'));
  return [question];
}

/** The only trained task that no other trained task builds on. */
function lastTask({ graph, trainedTasks, directory }: OpenedRun): string {
  const last = trainedTasks.filter(
    (id) => !graph.outNeighbors(id).some((child) => trainedTasks.includes(child)),
  );
  const [only] = last;
  if (only !== undefined && last.length === 1) return only;
  throw invalid(
    trainedTasks.length === 0
      ? `the run in ${directory} has trained no task yet`
      : `${directory} has several tasks; choose one with --task: ${trainedTasks.join(', ')}`,
  );
}

function pairOf(text: string): [string, string] {
  const at = text.indexOf('=');
  if (at < 1) throw invalid(`--given ${text} is not TASK=ANSWER`);
  return [text.slice(0, at), text.slice(at + 1)];
}

function jsonOf(answers: readonly ComposedAnswer[], id: string | number | undefined): string {
  const last = answers.at(-1);
  const written = answers.map(({ labels, ...rest }) => ({
    ...rest,
    ...(labels ? { labels: Object.fromEntries(labels) } : {}),
  }));
  return JSON.stringify({
    ...(id === undefined ? {} : { id }),
    task: last?.task,
    answer: last?.answer,
    ...(last?.probability === undefined ? {} : { probability: last.probability }),
    answers: written,
  });
}

/** One line per answer: `weather  sunny   99.8 %   fog 0.1 %, rain 0.1 %`. */
function tableOf(answers: readonly ComposedAnswer[]): string[] {
  const width = (texts: readonly string[]) => Math.max(...texts.map(({ length }) => length));
  const [tasks, texts] = [width(answers.map(({ task }) => task)), width(answers.map(({ answer }) => answer))];
  return answers.map(({ task, answer, given, probability, labels = [] }) => {
    const others = labels
      .filter(([label, share]) => label !== answer && share >= leastShown)
      .slice(0, mostShown)
      .map(([label, share]) => `${label} ${percent(share)}`);
    const certainty = given ? 'given' : probability === undefined ? '' : percent(probability);
    return `${task.padEnd(tasks)}  ${answer.padEnd(texts)}  ${certainty.padStart(7)}  ${others.join(', ')}`.trimEnd();
  });
}

/** Of the other labels, those that anybody would want to know. */
const [leastShown, mostShown] = [0.0005, 3];

const invalid = (what: string) => new CliError('CLI_OPTIONS_INVALID', 'ask', what);
