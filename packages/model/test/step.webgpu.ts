import { afterEach, expect, jest, test } from '@jest/globals';
import { type Kernels, openKernels, openWebGpu } from '@contextlora/kernels';
import { initialiseSegments, partitionRanks, type Roles, type Segments } from '@contextlora/lora';
import { decodeSafetensors, toFloat32 } from '@contextlora/lora/safetensors';
import { createLocalModel, linearsOf, loadModel, type Example } from '@contextlora/model';
import * as tf from '@contextlora/kernels/tfjs';

import { fixture } from './golden.js';

const examplesWith = (image: { readonly image?: string }): Example[] =>
  ['red car', 'blue bus', 'green dog'].map((prompt) => ({ prompt, answer: 'a b', ...image }));
const cases = [
  { name: 'llama-tiny', examples: examplesWith({}) },
  { name: 'smolvlm-tiny', examples: examplesWith({ image: fixture('images', 'photo.jpg') }) },
];

/** Two steps of a task with its ancestor's frozen segment. */
async function train(kernels: Kernels, { name, examples }: (typeof cases)[number]) {
  const base = await loadModel(fixture(name), { kernels });
  const partition = partitionRanks(
    linearsOf(base.spec),
    [
      { id: 'first', dependsOn: [] },
      { id: 'second', dependsOn: ['first'] },
    ],
    { rank: 8 },
  );
  // B is zero at first, and so is the gradient of A: give every matrix values.
  const segments: Segments = initialiseSegments(partition, { seed: 1 });
  for (const segment of Object.values(segments))
    for (const { b } of Object.values(segment)) b.forEach((_, i) => (b[i] = Math.sin(i) / 50));
  const model = createLocalModel(base, { partition, segments });
  const roles: Roles = { first: 'freeze', second: 'train' };
  await model.setPhase({ tasks: ['second'], roles: { second: roles } });
  const first = await model.step('second', [examples.slice(0, 2), examples.slice(2)], { learningRate: 1e-3 });
  const { 'optimizer-second.safetensors': moments = new Uint8Array() } = await model.saveState();
  const second = await model.step('second', [examples], { learningRate: 1e-3 });
  // Labels of one token and of several tokens, which use the cache of keys and values like generated text.
  const asked = [
    ['a', 'b', 'c'],
    ['a red car', 'b'],
  ].map((labels) => ({ ...examples[0]!, answer: 'a', labels }));
  const answers = [];
  for (const example of asked) answers.push(...(await model.predict('second', [example], roles)));
  base.dispose();
  const moment = decodeSafetensors(moments, 'moments').tensors.get('first');
  if (!moment) throw new Error('internal: the state has no first moment');
  // After one step this is the clipped gradient times 1 − β₁.
  return {
    steps: [first, second],
    gradients: toFloat32(moment),
    answers: answers.map(({ answer }) => answer),
    scores: answers.flatMap(({ labelLogProbabilities = [] }) => labelLogProbabilities),
  };
}

afterEach(() => {
  jest.restoreAllMocks();
});

test.each(cases)('LoRA steps of $name over webgpu equal those of the wasm backend', async (model) => {
  const expected = await train(await openKernels({ prefer: 'reference' }), model);
  const opened = await openWebGpu();
  if (typeof opened === 'string') throw new Error(opened);
  // The backend computes small tensors that were never uploaded on the CPU.
  tf.env().set('WEBGPU_CPU_FORWARD', false);
  jest.spyOn(tf.Tensor.prototype, 'dataSync').mockImplementation(() => {
    throw new Error('a tensor is read synchronously');
  });
  const before = tf.memory().numTensors;
  const got = await train(opened.kernels, model);
  expect(tf.memory().numTensors).toBe(before);
  for (const [i, { loss, tokens, gradientNorm }] of expected.steps.entries()) {
    expect(got.steps[i]?.tokens).toBe(tokens);
    expect(Math.abs((got.steps[i]?.loss ?? NaN) / loss - 1)).toBeLessThan(1e-5);
    expect(Math.abs((got.steps[i]?.gradientNorm ?? NaN) / gradientNorm - 1)).toBeLessThan(1e-5);
  }
  const largest = expected.gradients.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const worst = expected.gradients.reduce(
    (most, value, i) => Math.max(most, Math.abs(value - (got.gradients[i] ?? NaN))),
    0,
  );
  expect(got.answers).toEqual(expected.answers);
  expect(expected.scores).toHaveLength(5);
  for (const [i, score] of expected.scores.entries()) expect(got.scores[i]).toBeCloseTo(score, 4);
  expect(largest).toBeGreaterThan(0);
  expect(worst / largest).toBeLessThan(1e-5);
  expect(got.gradients.length).toBe(expected.gradients.length);
});
