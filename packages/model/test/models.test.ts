/**
 * Tests with real models, which are too large for the repository: `CONTEXTLORA_MODELS=<directory> npm run test:models`.
 *
 * The directory contains `SmolLM2-135M-Instruct` (the Q4_1 GGUF file of that name and expected.json, made with transformers on the
 * expanded weights) and `stories260K` (a Hugging Face directory and two GGUF files of it).
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openKernels, type Kernels } from '@contextlora/kernels';
import { languageLogits, languageLoss, loadModel, type LoadedModel } from '@contextlora/model';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const directory = process.env['CONTEXTLORA_MODELS'];
const at = (...parts: string[]) => join(directory ?? '', ...parts);
const when = (...parts: string[]) => {
  if (directory !== undefined && existsSync(at(...parts))) return describe;
  process.stderr.write(
    `notice: ${parts.join('/')} is not tested; CONTEXTLORA_MODELS names no directory that has it\n`,
  );
  return describe.skip;
};
const json = (...parts: string[]) => JSON.parse(readFileSync(at(...parts), 'utf8')) as unknown;

/** Registers the kernels of a suite. */
function useKernels(prefer: Kernels['backend']): () => Kernels {
  let kernels: Kernels;
  beforeAll(async () => {
    kernels = await openKernels({ prefer });
  });
  afterAll(() => {
    kernels.dispose();
  });
  return () => kernels;
}

const backends = ['reference', 'wasm', 'onnx'] as const;

/** The mean negative log-likelihood of each next token. */
async function meanNll(model: LoadedModel, ids: readonly number[]): Promise<number> {
  const time = ids.length - 1;
  const tokens = { batch: 1, time, ids: Int32Array.from(ids.slice(0, -1)), images: [] };
  const head = {
    rows: Int32Array.from({ length: time }, (_, i) => i),
    targets: Int32Array.from(ids.slice(1)),
    weights: new Float32Array(time).fill(1 / time),
  };
  return languageLoss(model, tokens, { head, segments: new Map() }).loss;
}

/** The best token after each position from `start` on, and its lead over the second. */
function bestTokens(model: LoadedModel, ids: readonly number[], start: number) {
  const tokens = { batch: 1, time: ids.length, ids: Int32Array.from(ids), images: [] };
  const rows = Int32Array.from({ length: ids.length - start }, (_, i) => start + i);
  const logits = languageLogits(model, tokens, { head: { rows } });
  const values = logits.dataSync() as Float32Array;
  const columns = logits.shape[1];
  logits.dispose();
  return Array.from(rows, (_, row) => {
    const own = values.subarray(row * columns, (row + 1) * columns);
    const [second = 0, best = 0] = [...own].sort((p, q) => p - q).slice(-2);
    return { id: own.indexOf(best), margin: best - second, logits: own };
  });
}

when('SmolLM2-135M-Instruct', 'SmolLM2-135M-Instruct.Q4_1.gguf').each(backends)(
  'SmolLM2-135M-Instruct in Q4_1 on %s',
  (backend) => {
    const kernels = useKernels(backend);
    const expected = () =>
      json('SmolLM2-135M-Instruct', 'expected.json') as {
        texts: { text: string; ids: number[]; meanNll: number; lastTop5: [number, number][] }[];
        chats: {
          prompt: string;
          promptIds: number[];
          greedyIds: number[];
          text: string;
          minMargin: number;
        }[];
      };
    let model: LoadedModel;
    beforeAll(async () => {
      model = await loadModel(at('SmolLM2-135M-Instruct', 'SmolLM2-135M-Instruct.Q4_1.gguf'), {
        kernels: kernels(),
      });
    });
    afterAll(() => {
      model.dispose();
    });

    test('has 134,515,008 parameters and a chat template, and adds no begin token', () => {
      expect(model.parameterCount).toBe(134_515_008);
      expect(model.tokenizer.chatTemplate).toContain('<|im_start|>');
      expect(model.tokenizer.addsBegin).toBe(false);
      expect([model.tokenizer.beginId, model.tokenizer.endId]).toEqual([1, 2]);
    });

    test('gives the token ids, and the likelihoods within 1e-5', async () => {
      for (const { text, ids, meanNll: nll, lastTop5 } of expected().texts) {
        expect(model.tokenizer.encode(text)).toEqual(ids);
        expect(Math.abs((await meanNll(model, ids)) - nll)).toBeLessThan(1e-5);
        const { logits } = bestTokens(model, ids, ids.length - 1)[0]!;
        for (const [id, logit] of lastTop5) expect(Math.abs(logits[id]! - logit)).toBeLessThan(1e-3);
      }
    });

    test('encodes its chats as the same ids and continues them greedily with the same tokens', () => {
      for (const { prompt, promptIds, greedyIds, text, minMargin } of expected().chats) {
        expect(model.tokenizer.encode(prompt)).toEqual(promptIds);
        expect(model.tokenizer.decode(greedyIds)).toBe(text);
        expect(minMargin).toBeGreaterThan(1e-3);
        const best = bestTokens(model, [...promptIds, ...greedyIds.slice(0, -1)], promptIds.length - 1);
        expect(best.map(({ id }) => id)).toEqual(greedyIds);
      }
    });
  },
);

when('stories260K', 'stories260K.f32.gguf').each(backends)('stories260K on %s', (backend) => {
  const kernels = useKernels(backend);
  const files = [
    ['hf', 0],
    ['stories260K.f32.gguf', 0],
    ['stories260K.q8_0.gguf', 1],
  ] as const;
  // Mean negative log-likelihoods from transformers, with the original weights and rounded to Q8_0.
  const texts = [
    [
      'Lily was a little girl who liked to play in the park. One day, she saw a big dog and she was very happy.',
      36,
      1.0329,
      1.0331,
    ],
    ['Once upon a time, there was a little car. The car was very small.', 22, 0.8201, 0.8218],
    [
      'Tom and his mom went to the store to buy some red apples. Tom was sad because he lost his toy.',
      44,
      1.057,
      1.0565,
    ],
    ['The quarterly report shows that revenue declined in the second fiscal period.', 50, 4.3054, 4.2854],
  ] as const;

  test.each(files)(
    'as %s gives the ids, likelihoods and greedy tokens of transformers',
    async (file, column) => {
      const model = await loadModel(at('stories260K', file), { kernels: kernels() });
      expect(model.tokenizer.addsBegin).toBe(true);
      for (const [text, length, ...nll] of texts) {
        const ids = [1, ...model.tokenizer.encode(text)];
        expect(ids).toHaveLength(length);
        expect(Math.abs((await meanNll(model, ids)) - nll[column])).toBeLessThan(1e-4);
      }
      const {
        prompt_ids: prompt,
        greedy,
        text,
      } = json('stories260K', 'hf', 'expected.json') as {
        prompt_ids: number[];
        greedy: number[];
        text: string;
      };
      expect([1, ...model.tokenizer.encode('Once upon a time, there was a little car.')]).toEqual(prompt);
      expect(model.tokenizer.decode(greedy)).toBe(text);
      const best = bestTokens(model, greedy.slice(0, -1), prompt.length - 1);
      expect(best.map(({ id }) => id)).toEqual(greedy.slice(prompt.length));
      model.dispose();
    },
  );
});
