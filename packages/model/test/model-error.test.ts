import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openKernels, type Kernels } from '@contextlora/kernels';
import {
  generate,
  type GenerateOptions,
  languageLogits,
  loadModel,
  locateModel,
  ModelError,
  type LoadedModel,
  parseModelSpec,
  type Prompt,
  renderChat,
  uploadAdapter,
} from '@contextlora/model';

import { fixture } from './golden.js';

let kernels: Kernels;
let model: LoadedModel;
beforeAll(async () => {
  kernels = await openKernels({ prefer: 'reference' });
  model = await loadModel(fixture('llama-tiny'), { kernels });
});
afterAll(() => {
  model.dispose();
  kernels.dispose();
});

const generating = (prompt: Prompt, options?: GenerateOptions) => generate(model, prompt, options).next();
const strange = {
  inFeatures: 2,
  outFeatures: 2,
  rank: 1,
  scale: 1,
  a: new Float32Array(2),
  b: new Float32Array(2),
};
/** Follows a form that no token of the vocabulary can continue. */
const impossible = {
  minimumTokens: 0,
  start: () => ({ mayEnd: false, isComplete: false, allow: () => undefined, advance: () => undefined }),
};

test.each([
  ['a file that does not exist', 'MODEL_FILE_MISSING', () => locateModel('lost.gguf')],
  ['a config without numbers', 'MODEL_FILE_DAMAGED', () => parseModelSpec({ model_type: 'llama' }, 'x')],
  ['an unknown architecture', 'MODEL_UNSUPPORTED', () => parseModelSpec({ model_type: 'rwkv' }, 'x')],
  [
    'an adapter of another model',
    'MODEL_MISMATCH',
    () => uploadAdapter(model.spec, { modules: { strange } }),
  ],
  ['a negative temperature', 'MODEL_INPUT_INVALID', () => generating([1], { temperature: -1 })],
  ['a prompt that is too long', 'MODEL_CONTEXT_FULL', () => generating(new Array<number>(5000).fill(1))],
  [
    'a batch that is too long',
    'MODEL_CONTEXT_FULL',
    () => {
      const tokens = { batch: 1, time: 5000, ids: new Int32Array(5000), images: [undefined] };
      return languageLogits(model, tokens, { head: { rows: Int32Array.of(0) } });
    },
  ],
  [
    'a model without a chat template',
    'MODEL_TEMPLATE_FAILED',
    () => renderChat({ chatTemplate: undefined, specialTokens: {} }, []),
  ],
  ['an impossible form', 'MODEL_NO_TOKEN', () => generating([1], { constraint: impossible })],
] as const)('%s fails with code %s', async (_, code, fail) => {
  const error = await new Promise((resolve) => {
    resolve(fail());
  }).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ModelError);
  expect(error).toMatchObject({ name: 'ModelError', code });
});
