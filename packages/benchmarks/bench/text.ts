/**
 * Two dependent text tasks on a language model: the topic of a customer's message, then the action that topic and tone call for. Prints the
 * test accuracy of the base model, asked in two ways, and after a ContextLoRA run, with answers chosen among the labels and with answers
 * written freely; and whether the first task's outputs stayed the same while the second task trained.
 * Usage: npm run bench:text -- --model PATH [--steps N] [--train N] [--test N] [--threads N] [--seed N] [--json FILE]
 */
import { parseArgs } from 'node:util';

import { openKernels } from '@contextlora/kernels';
import { initialiseSegments, partitionRanks } from '@contextlora/lora';
import { writeWhole } from '@contextlora/lora/files';
import {
  createLocalModel,
  linearsOf,
  loadModel,
  renderChat,
  scoreLabels,
  type AnswerPrediction,
  type Example,
} from '@contextlora/model';
import { accuracy, inferenceRoles, planPhases, rolesOf, train, warmupCosine } from '@contextlora/trainer';

import { actions, supportMessages, topics } from './support-messages.js';
import { actionOf, askAbout, supportGraph, topicOf } from './support-questions.js';

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    steps: { type: 'string', default: '60' },
    train: { type: 'string', default: '400' },
    test: { type: 'string', default: '160' },
    threads: { type: 'string', default: '2' },
    seed: { type: 'string', default: '0' },
    json: { type: 'string' },
  },
});
if (values.model === undefined) {
  console.error('Give a model: npm run bench:text -- --model PATH');
  process.exit(2);
}
const started = performance.now();
const seed = Number(values.seed);
const base = await loadModel(values.model, {
  kernels: await openKernels({ threads: Number(values.threads) }),
});
const graph = supportGraph();
const half = Math.floor(base.spec.text.layerCount / 2);
const partition = partitionRanks(
  linearsOf(base.spec),
  [
    { id: 'topic', dependsOn: [] },
    { id: 'action', dependsOn: ['topic'] },
  ],
  {
    rank: 16,
    // Only the upper half has segments: nothing below it is kept or has a backward pass.
    only: {
      topic: { from: half, to: base.spec.text.layerCount },
      action: { from: half, to: base.spec.text.layerCount },
    },
  },
);
const model = createLocalModel(base, {
  partition,
  segments: initialiseSegments(partition, { seed }),
  predictBatchSize: 16,
});

const training = supportMessages('train', Number(values.train), seed);
const test = supportMessages('test', Number(values.test), seed);

const roles = (id: string) => inferenceRoles(rolesOf(graph, id));
type Answers = readonly AnswerPrediction[];
const score = (answers: readonly { answer: string }[], of: 'topic' | 'action') =>
  accuracy(
    answers.map(({ answer }) => answer),
    test.map((message) => message[of]),
  );
/** The action's prompt contains the topic that the model predicted; with `written` the model writes without knowing the labels. */
const both = async (
  using: (id: string) => ReturnType<typeof roles> | undefined,
  { written = false }: { written?: boolean } = {},
) => {
  const asked = (example: Example): Example => {
    const { prompt, answer } = example;
    return written ? { prompt, answer } : example;
  };
  const topicExamples = test.map((message) => asked(topicOf(message)));
  const topic = await model.predict('topic', topicExamples, using('topic'));
  const examples = test.map((message, i) => asked(actionOf(message, topic[i]!.answer)));
  const action = await model.predict('action', examples, using('action'));
  return { topic, action };
};
/** The same questions in the form of a chat, if the model has one. */
const asChat = async () => {
  if (base.tokenizer.chatTemplate === undefined) return undefined;
  const choose = async (question: string, labels: readonly string[]) => {
    const [body, cue] = [
      question.slice(0, question.lastIndexOf('\n')),
      question.slice(question.lastIndexOf('\n') + 1),
    ];
    const chat = renderChat(base.tokenizer, [{ role: 'user', content: body }]);
    const scores = await scoreLabels(base, base.tokenizer.encode(`${chat}${cue}`), labels);
    return scores.reduce((best, next) => (next.probability > best.probability ? next : best)).label;
  };
  const topic: { answer: string }[] = [];
  const action: { answer: string }[] = [];
  for (const message of test) {
    const answer = await choose(askAbout.topic(message), topics);
    topic.push({ answer });
    action.push({ answer: await choose(askAbout.action(message, answer), actions) });
  }
  return { topic: score(topic, 'topic'), action: score(action, 'action') };
};

const seconds = () => Math.round((performance.now() - started) / 1000);
const plain = await both(() => undefined);
const zeroShot = {
  plain: { topic: score(plain.topic, 'topic'), action: score(plain.action, 'action') },
  chat: await asChat(),
};
const show = (name: string, of: { topic: number; action: number }) => {
  console.log(
    `${name.padEnd(24)} topic ${of.topic.toFixed(3)}  action ${of.action.toFixed(3)}  (${seconds()} s so far)`,
  );
};
console.log(
  `${values.model.split('/').at(-1) ?? ''}: ${test.length} test messages, chance ${(1 / topics.length).toFixed(3)} and ${(1 / actions.length).toFixed(3)}`,
);
show('zero-shot, plain', zeroShot.plain);
if (zeroShot.chat) show('zero-shot, as a chat', zeroShot.chat);

let afterFirst: Answers = [];
const losses: Record<string, number[]> = { topic: [], action: [] };
const certificates: { tasks: readonly string[]; unchanged: readonly string[] }[] = [];
for await (const event of train(model, planPhases(graph), {
  // Right topics in training, predicted ones in the test.
  examplesFor: (id) =>
    training.map((message) => (id === 'topic' ? topicOf(message) : actionOf(message, message.topic))),
  steps: Number(values.steps),
  seed,
  batchSize: 8,
  learningRate: warmupCosine(2e-3),
})) {
  if (event.type === 'step') {
    losses[event.task]?.push(event.loss);
    if (event.step % 20 === 0 || event.step + 1 === event.steps)
      console.log(
        `  ${event.task} step ${event.step + 1}/${event.steps} loss ${event.loss.toFixed(3)} (${seconds()} s)`,
      );
  }
  if (event.type === 'phaseEnd') {
    certificates.push({ tasks: event.tasks, unchanged: event.check.unchanged });
    if (event.tasks.includes('topic'))
      afterFirst = await model.predict('topic', test.map(topicOf), roles('topic'));
  }
}
const trained = await both(roles);
const written = await both(roles, { written: true });
const same = (of: 'topic' | 'action') =>
  accuracy(
    written[of].map(({ answer }) => answer),
    trained[of].map(({ answer }) => answer),
  );
const after = { topic: score(trained.topic, 'topic'), action: score(trained.action, 'action') };
const afterWritten = { topic: score(written.topic, 'topic'), action: score(written.action, 'action') };
const agreement = { topic: same('topic'), action: same('action') };
show('after, scored', after);
show('after, written', afterWritten);
show('both the same', agreement);
const logs = (answers: Answers) => JSON.stringify(answers.map((of) => of.labelLogProbabilities));
const outputsUnchanged = logs(afterFirst) === logs(trained.topic);
const peakMebibytes = process.resourceUsage().maxRSS / 1024;
console.log(
  `topic's segment certified unchanged while action trained: ${String(certificates.at(-1)?.unchanged.includes('topic') ?? false)}; ` +
    `its outputs on the test set bit for bit the same: ${String(outputsUnchanged)}`,
);
console.log(`${seconds()} s, peak memory ${peakMebibytes.toFixed(0)} MiB`);
if (values.json)
  await writeWhole(
    values.json,
    `${JSON.stringify({ settings: values, zeroShot, after, written: afterWritten, agreement, losses, certificates, outputsUnchanged, seconds: seconds(), peakMebibytes }, null, 2)}\n`,
  );
base.dispose();
