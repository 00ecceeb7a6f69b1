import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openKernels, type Kernels } from '@contextlora/kernels';
import { languageLogits, loadModel, readTokenizer, type LoadedModel, matrixRows } from '@contextlora/model';
import { readFile } from 'node:fs/promises';

import { batchOfGolden, fixture, Golden, worstDifference } from './golden.js';
import { adapterChecks } from './adapter-checks.js';
import { openModels, type OpenModel, parityChecks } from './parity-checks.js';

describe.each(['reference', 'wasm', 'onnx'] as const)('on the %s backend', (backend) => {
  let kernels: Kernels;
  let models: { open: OpenModel; dispose(): void };
  const open = (name: string) => models.open(name);
  beforeAll(async () => {
    kernels = await openKernels({ prefer: backend });
    models = openModels(kernels);
  });
  afterAll(() => {
    models.dispose();
    kernels.dispose();
  });

  test.each(
    [...parityChecks, ...adapterChecks].map((check) => [check.fixture, check.quantity, check] as const),
  )('%s: %s as in the fixture', async (_fixture, _quantity, { measure, tolerance }) => {
    expect(await measure(open)).toBeLessThanOrEqual(tolerance);
  });

  test.each([
    ['f16', 1e-3, 1e-2],
    ['int8', 3e-2, 0.3],
    ['w8a8', 3e-2, 0.6],
    ['q4_0', 0.4, 4],
  ] as const)(
    'a base kept in %s moves logits no more than its rounding explains',
    async (base, least, most) => {
      const golden = await Golden.read('llama-tiny', 'expected.safetensors');
      const model = await loadModel(fixture('llama-tiny'), { kernels, base });
      const error = logitsError(model, golden);
      // Steps of 2⁻¹², 1/254 and 1/16 of the largest weight; the fixture's weights are random, so nothing averages out.
      expect(error).toBeGreaterThan(least);
      expect(error).toBeLessThan(most);
      model.dispose();
    },
  );

  test('bf16 shards hold the weights of the single file, rounded', async () => {
    const [whole, shards] = [await open('llama-tiny'), await open('llama-tiny-sharded-bf16')];
    const { vocabularySize, hiddenSize } = whole.spec.text;
    const valuesOf = ({ embedding }: LoadedModel) =>
      matrixRows(embedding, [...Array(vocabularySize).keys()], [vocabularySize, hiddenSize]);
    const rounded = valuesOf(shards);
    const relative = Array.from(
      valuesOf(whole),
      (value, i) => Math.abs(value - (rounded[i] ?? NaN)) / Math.max(1e-6, Math.abs(value)),
    );
    expect(Math.max(...relative)).toBeLessThan(2 ** -8);
    expect(Math.max(...relative)).toBeGreaterThan(0);
  });
});

test('token ids and decoded text equal those of the Python tokenizers', async () => {
  const tokenizer = await readTokenizer(fixture('llama-tiny'));
  const { encode } = JSON.parse(await readFile(fixture('tokenizer-expected.json'), 'utf8')) as {
    encode: { text: string; ids: number[]; decoded: string; decoded_skip: string }[];
  };
  for (const { text, ids, decoded, decoded_skip: skipped } of encode) {
    expect(tokenizer.encode(text)).toEqual(ids);
    expect(tokenizer.decode(ids)).toBe(decoded);
    expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe(skipped);
  }
});

/** The worst difference of all logits where the attention mask is 1. */
function logitsError(model: LoadedModel, golden: Golden): number {
  const tokens = batchOfGolden(golden);
  const rows = Int32Array.from({ length: tokens.batch * tokens.time }, (_, i) => i);
  const logits = languageLogits(model, tokens, { head: { rows } });
  const mask = golden.integers('attention_mask');
  const columns = logits.shape[1];
  const error = worstDifference(
    logits.dataSync(),
    golden.floats('logits'),
    (i) => mask[Math.floor(i / columns)] === 1,
  );
  logits.dispose();
  return error;
}
