import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openKernels, type Kernels } from '@contextlora/kernels';
import { keyedRandom } from '@contextlora/lora';
import {
  cachedLogits,
  drawToken,
  generate,
  generateBatch,
  languageLogits,
  likeliest,
  loadModel,
  openCache,
  openTextStream,
  processLogits,
  type GenerateRequest,
  type GenerationEvent,
  type GenerationResult,
  type LoadedModel,
  type TextTokenizer,
} from '@contextlora/model';
import fc from 'fast-check';
import { readFile } from 'node:fs/promises';

import { batchOfGolden, fixture, Golden, segmentsOf, worstDifference } from './golden.js';

async function collect(rows: AsyncGenerator<GenerationEvent, GenerationResult>) {
  const events: GenerationEvent[] = [];
  for (;;) {
    const { done, value } = await rows.next();
    if (done) return { events, result: value };
    events.push(value);
  }
}
async function answersOf(model: LoadedModel, requests: readonly GenerateRequest[]) {
  const rows = generateBatch(model, requests);
  for (;;) {
    const { done, value } = await rows.next();
    if (done) return value;
  }
}

describe.each(['reference', 'wasm', 'onnx'] as const)('on the %s backend', (backend) => {
  let kernels: Kernels;
  const models = new Map<string, LoadedModel>();
  const open = async (name: string) => {
    const model = models.get(name) ?? (await loadModel(fixture(name), { kernels }));
    models.set(name, model);
    return model;
  };
  beforeAll(async () => {
    kernels = await openKernels({ prefer: backend });
  });
  afterAll(() => {
    for (const model of models.values()) model.dispose();
    kernels.dispose();
  });

  test.each(['llama-tiny', 'qwen2-tiny'])(
    'greedy answers of %s equal those of transformers, and its logits of left-padded rows',
    async (name) => {
      const [model, golden] = [await open(name), await Golden.read(name, 'expected.safetensors')];
      const expected = golden.integers('greedy.output_ids');
      const { result } = await collect(
        generate(model, expected.slice(0, 6), { maximumNewTokens: 10, endIds: [] }),
      );
      expect(result).toMatchObject({ ids: expected.slice(6), finish: 'length', promptTokens: 6 });

      // A cache has no padding: the unpadded row must give what transformers gives for the padded one.
      const mask = golden.integers('leftpad.attention_mask');
      const first = mask.indexOf(1);
      const ids = golden.integers('leftpad.input_ids').slice(first);
      const cache = openCache(model);
      const logits: Float32Array[] = [];
      for (const part of [ids.slice(0, 5), ids.slice(5, 6), ids.slice(6)])
        logits.push(...(await cachedLogits(model, [{ ids: part }], cache, { every: true }))[0]!);
      cache.dispose();
      const columns = logits[0]!.length;
      const wanted = golden.floats('leftpad.logits').subarray(first * columns);
      expect(worstDifference(Float32Array.from(logits.flatMap((row) => [...row])), wanted)).toBeLessThan(
        1e-4,
      );
    },
  );

  test('logits over a cache equal those without one within 1e-5, however a text is cut, alone or in a batch', async () => {
    const [model, golden] = [
      await open('llama-tiny'),
      await Golden.read('llama-tiny', 'expected.safetensors'),
    ];
    const tokens = batchOfGolden(golden);
    const all = Int32Array.from({ length: tokens.batch * tokens.time }, (_, i) => i);
    const whole = languageLogits(model, tokens, { head: { rows: all } });
    const [values, columns] = [whole.dataSync(), whole.shape[1]];
    whole.dispose();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 5 })), {
          minLength: 1,
          maxLength: 3,
        }),
        async (passes) => {
          const cache = openCache(model, { batch: 2, capacity: 3 });
          for (const pass of passes) {
            const starts = [...cache.lengths];
            const rows = pass.map((count, row) => ({
              ids: [
                ...tokens.ids.slice(
                  row * tokens.time + starts[row]!,
                  row * tokens.time + starts[row]! + count,
                ),
              ],
            }));
            const logits = await cachedLogits(model, rows, cache, { every: true });
            for (const [row, of] of logits.entries())
              for (const [t, actual] of of.entries()) {
                const at = (row * tokens.time + starts[row]! + t) * columns;
                expect(worstDifference(actual, values.subarray(at, at + columns))).toBeLessThan(1e-5);
              }
          }
          cache.dispose();
          return Promise.resolve();
        },
      ),
      { numRuns: backend === 'reference' ? 5 : 25, seed: 3 },
    );
  });

  test('several tasks in one batch, each row with its own segments, equal each row alone', async () => {
    const model = await open('llama-tiny');
    const tasks = ['vehicle', 'weather'];
    const closures = await Promise.all(
      tasks.map((task) => segmentsOf(model, [`partition/segments/${task}`], { train: false })),
    );
    const both = await segmentsOf(
      model,
      tasks.map((task) => `partition/segments/${task}`),
      { train: false },
    );
    const maps = [closures[0], undefined, closures[1], closures[0], both];
    const requests = maps.map((segments, i): GenerateRequest => ({
      prompt: [1, 20 + i, 30, 40, 50 + 7 * i].slice(0, 2 + (i % 4)),
      maximumNewTokens: 6 + i,
      endIds: [],
      temperature: i === 3 ? 1 : 0,
      seed: i,
      ...(segments ? { segments } : {}),
    }));
    const together = await answersOf(model, requests);
    const alone = await Promise.all(requests.map(async (request) => (await answersOf(model, [request]))[0]));
    expect(together).toEqual(alone);
    // Segments do have an effect.
    const plain = await answersOf(model, [{ ...requests[4]!, segments: new Map() }]);
    expect(plain[0]?.ids).not.toEqual(together[4]?.ids);
  });
});

describe('generating', () => {
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

  test('the pieces of an answer add up to its text, and none contains half a character', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const { events, result } = await collect(
        generate(model, 'über', { temperature: 2, seed, maximumNewTokens: 40, endIds: [] }),
      );
      expect(events.map(({ text }) => text).join('')).toBe(result.text);
      expect(result.text).toBe(model.tokenizer.decode(result.ids, { skipSpecialTokens: true }));
      expect(result.ids).toEqual(events.map(({ id }) => id));
    }
  });

  test('equal seeds give equal answers, different seeds do not, and each log-probability is the model’s', async () => {
    const answer = async (seed: number) =>
      collect(
        generate(model, [1, 5, 9], { temperature: 1, seed, maximumNewTokens: 12, logProbabilities: true }),
      );
    const [first, again, other] = [await answer(1), await answer(1), await answer(2)];
    expect(again).toEqual(first);
    expect(other.result.ids).not.toEqual(first.result.ids);
    const ids = [1, 5, 9, ...first.result.ids];
    const tokens = { batch: 1, time: ids.length, ids: Int32Array.from(ids), images: [] };
    for (const [i, { id, logProbability = NaN }] of first.events.entries()) {
      const logits = languageLogits(model, tokens, { head: { rows: Int32Array.of(2 + i) } });
      const values = [...logits.dataSync()];
      logits.dispose();
      const expected = values[id]! - Math.log(values.reduce((sum, value) => sum + Math.exp(value), 0));
      expect(Math.abs(logProbability - expected)).toBeLessThan(1e-4);
    }
  });

  test('an answer ends at an end token, a stop sequence across tokens, the limit, or the model’s last position', async () => {
    const ids = (await collect(generate(model, [1, 5], { maximumNewTokens: 10, endIds: [] }))).result;
    const third = ids.ids[2]!;
    const ended = (await collect(generate(model, [1, 5], { endIds: [third] }))).result;
    expect(ended).toMatchObject({ finish: 'end', ids: ids.ids.slice(0, ids.ids.indexOf(third)) });
    const stop = ids.text.slice(3, 6);
    const { events, result } = await collect(generate(model, [1, 5], { stop: [stop, 'never'], endIds: [] }));
    expect(result).toMatchObject({ finish: 'stop', text: ids.text.slice(0, ids.text.indexOf(stop)) });
    expect(events.map(({ text }) => text).join('')).toBe(result.text);
    const positions = model.rotary.time;
    const long = new Array<number>(positions - 1).fill(7);
    expect((await collect(generate(model, long, { endIds: [] }))).result).toMatchObject({
      finish: 'length',
      promptTokens: positions - 1,
    });
    expect((await collect(generate(model, [1], { maximumNewTokens: 0 }))).result.ids).toEqual([]);
  });

  test('return() or a signal ends an answer', async () => {
    const rows = generate(model, [1, 5], { maximumNewTokens: 100, endIds: [] });
    await rows.next();
    await rows.return(undefined as never);
    expect(await rows.next()).toEqual({ done: true, value: undefined });
    const controller = new AbortController();
    const stopped = generate(model, [1, 5], { maximumNewTokens: 100, endIds: [], signal: controller.signal });
    await stopped.next();
    await stopped.next();
    controller.abort();
    const { result, events } = await collect(stopped);
    expect(events).toEqual([]);
    expect(result).toMatchObject({ finish: 'aborted' });
    expect(result.ids).toHaveLength(2);
  });

  test('an invalid request is refused in one message', async () => {
    const failing = async (options: Partial<GenerateRequest>) => {
      await answersOf(model, [{ prompt: [1], ...options }]);
    };
    await expect(failing({ temperature: -1, topK: 0, topP: 0 })).rejects.toThrow(
      'model/sampling: temperature must be 0 or more, got -1; topK must be a positive integer, got 0; topP must be above 0 and at most 1, got 0',
    );
    await expect(failing({ prompt: [] })).rejects.toThrow('the prompt has no token');
    await expect(failing({ prompt: [999] })).rejects.toThrow(
      'the prompt has id 999, but the vocabulary has 384 tokens',
    );
    await expect(failing({ prompt: new Array<number>(5000).fill(1) })).rejects.toThrow('shorten it');
    await expect(failing({ stop: [''] })).rejects.toThrow('a stop sequence must not be empty');
  });
});

test('sampling options keep the same logits as those of transformers', async () => {
  const { cases } = JSON.parse(await readFile(fixture('sampling-expected.json'), 'utf8')) as {
    cases: {
      options: Record<string, number>;
      ids: number[];
      logits: number[];
      scores: (number | null)[];
    }[];
  };
  expect(cases).toHaveLength(20);
  for (const { options, ids, logits, scores } of cases) {
    const actual = processLogits(Float32Array.from(logits), ids, {
      temperature: options['temperature']!,
      ...(options['top_k'] === undefined ? {} : { topK: options['top_k'] }),
      ...(options['top_p'] === undefined ? {} : { topP: options['top_p'] }),
      ...(options['min_p'] === undefined ? {} : { minP: options['min_p'] }),
      ...(options['repetition_penalty'] === undefined
        ? {}
        : { repetitionPenalty: options['repetition_penalty'] }),
    });
    // Which of several equals at the edge of a nucleus is dropped depends on the sort.
    const sorted = (values: ArrayLike<number>) => Float64Array.from(Array.from(values)).sort();
    const expected = scores.map((score) => score ?? -Infinity);
    const finite = (values: ArrayLike<number>) => [...sorted(values)].filter((value) => value > -Infinity);
    expect(finite(actual)).toHaveLength(finite(expected).length);
    expect(worstDifference(finite(actual), finite(expected))).toBeLessThan(1e-5);
    if (new Set(logits).size === logits.length)
      expect([...actual].map((value) => value > -Infinity)).toEqual(
        expected.map((value) => value > -Infinity),
      );
  }
});

test('tokens are drawn with their probability, and greedy decoding takes the first of equals', () => {
  const probabilities = [0.5, 0, 0.2, 0.3];
  const scores = Float32Array.from(probabilities, Math.log);
  const random = keyedRandom(1, 'draws');
  const counts = [0, 0, 0, 0];
  for (let i = 0; i < 20_000; i++) counts[drawToken(scores, random)]! += 1;
  for (const [id, count] of counts.entries())
    expect(Math.abs(count / 20_000 - probabilities[id]!)).toBeLessThan(0.01);
  expect(counts[1]).toBe(0);
  expect(likeliest(Float32Array.of(1, 3, 3))).toBe(1);
  expect(likeliest(Float32Array.of(-Infinity, NaN))).toBe(-1);
});

describe('a stream of text', () => {
  // One byte per token is the worst case for characters.
  const bytes: TextTokenizer = {
    encode: (text) => [...Buffer.from(text)],
    decode: (ids) => Buffer.from(ids).toString('utf8'),
    idOf: () => undefined,
    beginId: undefined,
    endId: undefined,
    padId: 0,
    addsBegin: false,
    specialTokens: {},
    chatTemplate: undefined,
    tokenBytes: () => [],
  };

  test('gives whole characters as soon as they are certain, and all of the text at the end', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 12 }), (text) => {
        const stream = openTextStream(bytes);
        const pieces = bytes.encode(text).map((id) => stream.push(id));
        expect(pieces.every((piece) => !piece.includes('\ufffd'))).toBe(!text.includes('\ufffd'));
        expect(pieces.join('') + stream.end()).toBe(text);
      }),
      { seed: 1 },
    );
  });

  test('ends before the first stop sequence, shows no part of it, and keeps text that only resembled one', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('a', 'b', 'ü'), maxLength: 15 }),
        fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'ü'), minLength: 1, maxLength: 4 }), {
          maxLength: 3,
        }),
        (text, stops) => {
          const stream = openTextStream(bytes, stops);
          const shown =
            bytes
              .encode(text)
              .map((id) => stream.push(id))
              .join('') + stream.end();
          // A longer stop sequence at the same place may be preceded by a shorter one that is complete first.
          const at = stops.map((stop) => text.indexOf(stop)).filter((i) => i >= 0);
          if (at.length === 0) {
            expect(shown).toBe(text);
            expect(stream.stopped).toBeUndefined();
            return;
          }
          expect(stops).toContain(stream.stopped);
          expect(text.startsWith(shown + (stream.stopped ?? ''))).toBe(true);
          expect(stops.some((stop) => shown.includes(stop))).toBe(false);
        },
      ),
      { seed: 2 },
    );
  });
});
