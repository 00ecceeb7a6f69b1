import { readFile } from 'node:fs/promises';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openKernels, type Kernels } from '@contextlora/kernels';
import { initialiseSegments, partitionRanks } from '@contextlora/lora';
import {
  answerIds,
  createLocalModel,
  linearsOf,
  loadModel,
  promptIds,
  scoreLabels,
  type Example,
  type LoadedModel,
} from '@contextlora/model';

import { fixture } from './golden.js';

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

const partitionOf = (on: LoadedModel, rank: number) =>
  partitionRanks(linearsOf(on.spec), [{ id: 't', dependsOn: [] }], { rank });

async function openTask(
  on: LoadedModel,
  { rank = 4, ...more }: { rank?: number; maximumNewTokens?: number } = {},
) {
  const partition = partitionOf(on, rank);
  const segments = initialiseSegments(partition, { seed: 0 });
  const local = createLocalModel(on, { partition, segments, ...more });
  await local.setPhase({ tasks: ['t'], roles: { t: { t: 'train' } } });
  return local;
}

describe('what cannot be right is refused', () => {
  const step = async (example: Example, on = model, more: { maximumNewTokens?: number } = {}) => {
    const local = await openTask(on, more);
    return local.step('t', [[example]], { learningRate: 1e-3 });
  };

  test.each([
    [
      'an end token in a text',
      { prompt: 'x', answer: 'stop <|im_end|> here' },
      '"<|im_end|>", a special token',
    ],
    ['another special token', { prompt: 'x', answer: 'see <image>' }, '"<image>", a special token'],
    [
      'a special token in a label that is not the answer',
      { prompt: 'x', answer: 'a', labels: ['a', '<pad>'] },
      '"<pad>", a special token',
    ],
    ['an empty label', { prompt: 'x', answer: 'a', labels: ['a', ''] }, 'label 1 ("") has no token'],
    [
      'a repeated label',
      { prompt: 'x', answer: 'a', labels: ['a', 'b', 'a'] },
      'the label "a" is given twice',
    ],
    [
      'labels with the same tokens',
      { prompt: 'x', answer: 'caf\u00e9', labels: ['caf\u00e9', 'cafe\u0301'] },
      'are the same tokens for this model',
    ],
    ['no labels', { prompt: 'x', answer: 'a', labels: [] }, 'there are no labels'],
  ])('%s', async (_, example, message) => {
    await expect(step(example)).rejects.toThrow(message);
    await expect(step(example)).rejects.toMatchObject({ code: 'MODEL_INPUT_INVALID' });
  });

  test('an answer longer than what would be written, before it trains; one as long as that is written whole', async () => {
    const answer = 'the road is wet and the sky is blue';
    const length = answerIds(model, answer).length - 1;
    await expect(step({ prompt: 'x', answer }, model, { maximumNewTokens: length - 1 })).rejects.toThrow(
      `an answer has ${length} tokens`,
    );
    const local = await openTask(model, { rank: 8, maximumNewTokens: length });
    for (let i = 0; i < 100; i++) await local.step('t', [[{ prompt: 'x', answer }]], { learningRate: 1e-2 });
    expect(await local.predict('t', [{ prompt: 'x', answer: '' }], { t: 'freeze' })).toEqual([{ answer }]);
  });

  test('a model without an end token, with the places where it was looked for', async () => {
    const endless = { ...model, endIds: [], tokenizer: { ...model.tokenizer, endId: undefined } };
    const attempt = step({ prompt: 'x', answer: 'a' }, endless);
    await expect(attempt).rejects.toThrow(
      /no end token.*"eos_token".*generation_config\.json.*"tokenizer\.ggml\.eos_token_id"/,
    );
    await expect(attempt).rejects.toMatchObject({ code: 'MODEL_UNSUPPORTED' });
    await expect(scoreLabels(endless, 'x', ['a', 'b'])).rejects.toThrow('no end token');
  });

  test('numbers that are none, in place of an answer', async () => {
    const partition = partitionOf(model, 4);
    const segments = initialiseSegments(partition, { seed: 0 });
    for (const { b } of Object.values(segments['t']!)) b.fill(NaN);
    const local = createLocalModel(model, { partition, segments });
    const attempt = local.predict('t', [{ prompt: 'x', answer: '', labels: ['a', 'b'] }], { t: 'freeze' });
    await expect(attempt).rejects.toMatchObject({ code: 'MODEL_NO_TOKEN' });
  });

  test('a prompt that leaves no room for its labels', async () => {
    const prompt = Array.from({ length: model.rotary.time }, () => 40);
    await expect(scoreLabels(model, prompt, ['a', 'b'])).rejects.toMatchObject({
      code: 'MODEL_CONTEXT_FULL',
    });
  });
});

describe('the tokens of an answer', () => {
  test('are those of the reference, whatever the prompt ends in', async () => {
    const golden = JSON.parse(await readFile(fixture('label-loss.json'), 'utf8')) as {
      examples: Example[];
      answer_ids: number[][];
    };
    for (const [i, { prompt, answer }] of golden.examples.entries())
      expect(answerIds(model, answer, promptIds(model, { prompt }))).toEqual(golden.answer_ids[i]);
  });

  test('begin with a space after a word, and with none after white space', () => {
    const textOf = (prompt: string) =>
      model.tokenizer.decode(answerIds(model, 'red', model.tokenizer.encode(prompt)));
    expect(['it is', 'it is:', 'it is ', 'it is\n', 'it is\u00a0', 'it is\t'].map(textOf)).toEqual([
      ' red<|im_end|>',
      ' red<|im_end|>',
      'red<|im_end|>',
      'red<|im_end|>',
      'red<|im_end|>',
      'red<|im_end|>',
    ]);
  });

  test('end with one of the ids that end generation, also where the tokenizer names none', async () => {
    const other = { ...model, endIds: [7, 9], tokenizer: { ...model.tokenizer, endId: undefined } };
    expect(answerIds(other, 'red').at(-1)).toBe(7);
    expect(model.endIds).toContain(answerIds(model, 'red').at(-1));
    // What was trained to end does end.
    const local = await openTask(other, { rank: 8 });
    for (let i = 0; i < 60; i++)
      await local.step('t', [[{ prompt: 'x', answer: 'red' }]], { learningRate: 1e-2 });
    expect(await local.predict('t', [{ prompt: 'x', answer: '' }], { t: 'freeze' })).toEqual([
      { answer: 'red' },
    ]);
  });
});
