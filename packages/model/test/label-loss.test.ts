import { readFile } from 'node:fs/promises';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openKernels, type Kernels } from '@contextlora/kernels';
import { initialiseSegments, partitionRanks, type Segments } from '@contextlora/lora';
import { readPeftFolder } from '@contextlora/lora/files';
import {
  answerIds,
  batchOf,
  createLocalModel,
  languageLoss,
  linearsOf,
  loadModel,
  promptIds,
  renderChat,
  withChatPrompts,
  type Example,
  type LoadedModel,
  type LocalModel,
} from '@contextlora/model';

import { fixture } from './golden.js';

interface Golden {
  examples: Example[];
  losses: number[];
  gradient_norms: number[];
  scores: number[][];
}

let golden: Golden;
beforeAll(async () => {
  golden = JSON.parse(await readFile(fixture('label-loss.json'), 'utf8')) as Golden;
});

const roles = { t: { t: 'train' } } as const;

function makeModel(
  model: LoadedModel,
  {
    segments,
    rank = 4,
    promptLoss = false,
  }: { segments?: Segments; rank?: number; promptLoss?: boolean } = {},
): LocalModel {
  const partition = partitionRanks(linearsOf(model.spec), [{ id: 't', dependsOn: [] }], { rank });
  return createLocalModel(model, {
    partition,
    segments: segments ?? initialiseSegments(partition, { seed: 0 }),
    promptLoss,
  });
}

describe.each(['reference', 'wasm', 'onnx'] as const)('on the %s backend', (backend) => {
  let kernels: Kernels;
  let model: LoadedModel;
  beforeAll(async () => {
    kernels = await openKernels({ prefer: backend });
    model = await loadModel(fixture('llama-tiny'), { kernels });
  });
  afterAll(() => {
    model.dispose();
    kernels.dispose();
  });

  test('three steps on examples of every kind have PyTorch’s losses and gradients, and lead to its scores', async () => {
    const { modules } = await readPeftFolder(fixture('lora-llama'));
    const local = makeModel(model, { segments: { t: modules } });
    await local.setPhase({ tasks: ['t'], roles });
    for (const [step, expected] of golden.losses.entries()) {
      const { loss, gradientNorm } = await local.step('t', [golden.examples], { learningRate: 1e-2 });
      expect(Math.abs(loss - expected)).toBeLessThan(2e-5);
      expect(gradientNorm / golden.gradient_norms[step]!).toBeCloseTo(1, 4);
    }
    const asked = golden.examples.filter(({ labels }) => labels);
    const predictions = await local.predict('t', asked, { t: 'freeze' });
    for (const [i, { labelLogProbabilities = [] }] of predictions.entries()) {
      const sums = golden.scores[i]!;
      const total = Math.log(sums.reduce((sum, score) => sum + Math.exp(score), 0));
      for (const [j, score] of sums.entries())
        expect(Math.abs(labelLogProbabilities[j]! - (score - total))).toBeLessThan(2e-3);
    }
  });
});

describe('a trained task', () => {
  let kernels: Kernels;
  let model: LoadedModel;
  beforeAll(async () => {
    kernels = await openKernels();
    model = await loadModel(fixture('llama-tiny'), { kernels });
  });
  afterAll(() => {
    model.dispose();
    kernels.dispose();
  });

  async function trained(examples: readonly Example[], steps = 90) {
    const local = makeModel(model, { rank: 8 });
    await local.setPhase({ tasks: ['t'], roles });
    for (let step = 0; step < steps; step++) await local.step('t', [examples], { learningRate: 1e-2 });
    return local;
  }
  const prompts = ['sky a :', 'fire b :', 'tree c :', 'sea d :', 'car e :', 'hut f :'];

  test.each([
    ['single tokens', ['1', '2', '3']],
    ['unequal lengths', ['red', 'light blue']],
    ['one that begins another', ['rain', 'rain snow']],
    ['three that begin each other', ['stop', 'stop now', 'stop now please']],
    ['one word with and without accents', ['resume', 'résumé']],
    ['other scripts', ['はい', 'いいえ', 'нет']],
    ['emoji', ['☀️', '🌧️', '☀️🌧️']],
    ['the same letters in other cases', ['us', 'US', 'Us']],
  ])('with labels of %s chooses and writes each right one', async (_, labels) => {
    const examples = prompts.map((prompt, i) => ({ prompt, answer: labels[i % labels.length]!, labels }));
    const local = await trained(examples);
    const answers = examples.map(({ answer }) => answer);
    const chosen = await local.predict('t', examples, { t: 'freeze' });
    expect(chosen.map(({ answer }) => answer)).toEqual(answers);
    const written = await local.predict(
      't',
      examples.map(({ prompt }) => ({ prompt, answer: '' })),
      { t: 'freeze' },
    );
    expect(written.map(({ answer }) => answer)).toEqual(answers);
  });

  test.each([
    ['please slow down', 'keep the lane', 'stop now'],
    ['traffic jam', 'clear sky', 'heavy rain'],
  ])('writes labels of many tokens as soon as it chooses them: %s, %s, %s', async (...labels) => {
    const moods = ['low', 'bright', 'grey'];
    const exampleOf = (i: number): Example => ({
      prompt: `case ${i} . ${moods[i % 3]} ?`,
      answer: labels[i % 3]!,
      labels,
    });
    const local = makeModel(model, { rank: 8 });
    await local.setPhase({ tasks: ['t'], roles });
    for (let step = 0; step < 14; step++)
      await local.step('t', [Array.from({ length: 6 }, (_, i) => exampleOf(6 * step + i))], {
        learningRate: 1e-2,
      });
    const examples = Array.from({ length: 12 }, (_, i) => exampleOf(200 + i));
    const answers = examples.map(({ answer }) => answer);
    for (const asked of [examples, examples.map(({ prompt }) => ({ prompt, answer: '' }))])
      expect((await local.predict('t', asked, { t: 'freeze' })).map(({ answer }) => answer)).toEqual(answers);
  });

  test.each(['a space ', 'a line\n', 'a colon:', 'chat<|im_end|>\n<|im_start|>assistant\n'])(
    'after a prompt that ends in %j chooses and writes it',
    async (end) => {
      const labels = ['left', 'right', 'right now'];
      const examples = labels.map((answer, i) => ({ prompt: `case ${i} ${end}`, answer, labels }));
      const local = await trained(examples);
      for (const asked of [examples, examples.map(({ prompt }) => ({ prompt, answer: '' }))])
        expect((await local.predict('t', asked, { t: 'freeze' })).map(({ answer }) => answer)).toEqual(
          labels,
        );
    },
  );

  test('answers with nothing where that is the right answer', async () => {
    const examples = [
      { prompt: 'sky a :', answer: '' },
      { prompt: 'fire b :', answer: 'red' },
    ];
    const local = await trained(examples);
    const written = await local.predict('t', examples, { t: 'freeze' });
    expect(written.map(({ answer }) => answer)).toEqual(['', 'red']);
  });

  test('gives a label the same score in any company: alone, with texts, and with labels of other lengths', async () => {
    const local = await trained([{ prompt: 'sky a :', answer: '1', labels: ['1', '2'] }], 5);
    const one: Example = { prompt: 'fire b :', answer: '', labels: ['1', '2', '3'] };
    const others: Example[] = [
      { prompt: 'a longer prompt before it :', answer: '', labels: ['red', 'light blue'] },
      one,
      { prompt: 'sky', answer: '' },
    ];
    const [alone] = await local.predict('t', [one], { t: 'freeze' });
    const [, together] = await local.predict('t', others, { t: 'freeze' });
    for (const [i, value] of alone!.labelLogProbabilities!.entries())
      expect(together!.labelLogProbabilities![i]).toBeCloseTo(value, 4);
  });

  test('learns its prompts too where the loss is over them, and its answers as before', async () => {
    const examples = [{ prompt: 'the sky is', answer: 'blue' }];
    const lossOf = async (promptLoss: boolean, steps: number) => {
      const local = makeModel(model, { rank: 8, promptLoss });
      await local.setPhase({ tasks: ['t'], roles });
      const losses: number[] = [];
      for (let step = 0; step < steps; step++)
        losses.push((await local.step('t', [examples], { learningRate: 1e-2 })).loss);
      return { losses, local };
    };
    const ids = [...promptIds(model, examples[0]!), ...answerIds(model, 'blue')];
    const tokens = batchOf(model, [ids.slice(0, -1)], [undefined]);
    const count = ids.length - 1;
    const whole = languageLoss(model, tokens, {
      head: {
        rows: Int32Array.from({ length: count }, (_, i) => i),
        targets: Int32Array.from(ids.slice(1)),
        weights: new Float32Array(count).fill(1 / count),
      },
      segments: new Map(),
    });
    const { losses, local } = await lossOf(true, 60);
    // Every token but the first is predicted, each with the same weight; an untrained segment adds nothing.
    expect(losses[0]).toBeCloseTo(await whole.loss, 5);
    expect((await lossOf(false, 1)).losses[0]).not.toBeCloseTo(losses[0]!, 2);
    expect(losses.at(-1)).toBeLessThan(0.1);
    const [said] = await local.predict('t', examples, { t: 'freeze' });
    expect(said?.answer).toBe('blue');
  });

  test('is asked through the chat template where its model is, in training and after', async () => {
    const chat = withChatPrompts(model);
    const ids = promptIds(chat, { prompt: 'the sky is' });
    expect(ids).toEqual(
      model.tokenizer.encode(renderChat(model.tokenizer, [{ role: 'user', content: 'the sky is' }])),
    );
    expect(withChatPrompts(chat)).toBe(chat);
    const examples = [
      { prompt: 'the sky is', answer: 'blue' },
      { prompt: 'the road is', answer: 'wet' },
    ];
    const local = makeModel(chat, { rank: 8 });
    await local.setPhase({ tasks: ['t'], roles });
    for (let step = 0; step < 60; step++) await local.step('t', [examples], { learningRate: 1e-2 });
    const written = await local.predict('t', examples, { t: 'freeze' });
    expect(written.map(({ answer }) => answer)).toEqual(['blue', 'wet']);
  });

  test('is refused with chat prompts where the template drops the message, or an image has no place in it', () => {
    const dropping = { ...model, tokenizer: { ...model.tokenizer, chatTemplate: 'hello' } };
    expect(() => promptIds(withChatPrompts(dropping), { prompt: 'x' })).toThrow(/does not write the message/);
    expect(() => promptIds(withChatPrompts(model), { prompt: 'x', image: 'i' })).toThrow(/use plain prompts/);
  });
});
