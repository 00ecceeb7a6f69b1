import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { expandWeight, openKernels, type Kernels } from '@contextlora/kernels';
import { languageLogits, loadModel, openCheckpoint } from '@contextlora/model';
import { readFile } from 'node:fs/promises';

import { batchOfGolden, fixture, Golden, worstDifference } from './golden.js';

describe.each(['f16', 'q8_0', 'q4_0', 'q4_1'])('a GGUF file in %s', (type) => {
  const path = fixture('gguf-tiny', `llama-tiny.${type}.gguf`);

  test('holds the expected tensors to the bit, q and k in the order of Hugging Face', async () => {
    const { weights } = await openCheckpoint(path);
    const golden = await Golden.read('gguf-tiny', `expected.${type}.safetensors`);
    expect(golden.names()).toHaveLength(5);
    for (const name of golden.names()) {
      expect(weights.shapeOf(name)).toEqual(golden.shape(name));
      expect(await weights.read(name)).toEqual(golden.floats(name));
      const stored = await weights.readStored(name);
      if (stored instanceof Float32Array) continue;
      expect(stored.format).toBe(type);
      const [rows = 1, columns = 1] = golden.shape(name);
      // The kernels' d·q − 8·d and the file's d·(q − 8) may differ in the sign of a zero.
      expect(worstDifference(expandWeight(stored, rows, columns), golden.floats(name))).toBe(0);
    }
    await weights.close();
  });

  test('has the tokenizer of the model it was made from', async () => {
    const { tokenizer, weights } = await openCheckpoint(path);
    const opened = await tokenizer();
    const { beginId, endId, padId } = opened;
    await weights.close();
    const expected = JSON.parse(await readFile(fixture('tokenizer-expected.json'), 'utf8')) as {
      encode: { text: string; ids: number[]; decoded: string }[];
    };
    for (const { text, ids, decoded } of expected.encode) {
      // Its `pre` is "llama-bpe", which does not normalise to NFC as the model's own tokenizer does.
      if (text !== text.normalize('NFC')) continue;
      expect(opened.encode(text)).toEqual(ids);
      expect(opened.decode(ids)).toBe(decoded);
    }
    expect({ beginId, endId, padId }).toEqual({ beginId: 1, endId: 2, padId: 4 });
  });
});

describe.each(['reference', 'wasm', 'onnx'] as const)('on the %s ground', (ground) => {
  let kernels: Kernels;
  beforeAll(async () => {
    kernels = await openKernels({ prefer: ground });
  });
  afterAll(() => {
    kernels.dispose();
  });
  const logitsOf = async (type: string, base?: 'f32') => {
    const model = await loadModel(fixture('gguf-tiny', `llama-tiny.${type}.gguf`), {
      kernels,
      ...(base ? { base } : {}),
    });
    const golden = await Golden.read('llama-tiny', 'expected.safetensors');
    const tokens = batchOfGolden(golden);
    const rows = Int32Array.from({ length: 16 }, (_, i) => i);
    const logits = languageLogits(model, tokens, { head: { rows } });
    const values = Float32Array.from(logits.dataSync());
    logits.dispose();
    model.dispose();
    return { values, expected: golden.floats('logits').subarray(0, values.length) };
  };

  test.each([
    ['f16', 1e-2],
    ['q8_0', 0.3],
    ['q4_0', 4],
    ['q4_1', 4],
  ])(
    '%s gives the logits of the original up to its rounding, kept as stored or expanded',
    async (type, most) => {
      const stored = await logitsOf(type);
      const expanded = await logitsOf(type, 'f32');
      expect(worstDifference(stored.values, expanded.values)).toBeLessThan(1e-4);
      const error = worstDifference(expanded.values, expanded.expected);
      expect(error).toBeGreaterThan(0);
      expect(error).toBeLessThan(most);
    },
  );
});
