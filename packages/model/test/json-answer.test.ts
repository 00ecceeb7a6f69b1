import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openKernels, type Kernels } from '@contextlora/kernels';
import { keyedRandom } from '@contextlora/lora';
import { drawToken, jsonConstraint, loadModel, type LoadedModel, writeJsonAnswer } from '@contextlora/model';
import fc from 'fast-check';

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

const schema = {
  type: 'object',
  properties: {
    road: { enum: ['dry', 'icy', null] },
    speed: { type: 'integer' },
    tags: { type: 'array', items: { type: 'string', maxLength: 4 }, maxItems: 2 },
    extra: { anyOf: [{ type: 'number' }, { type: 'object', properties: { ok: { type: 'boolean' } } }] },
  },
};

describe('writeJsonAnswer', () => {
  test('writes every property in the order of the schema', () => {
    const value = { extra: { ok: true }, tags: ['a', 'ü"\n'], speed: -3, road: 'icy' };
    expect(writeJsonAnswer(value, schema)).toEqual({
      text: '{"road": "icy", "speed": -3, "tags": ["a", "ü\\"\\n"], "extra": {"ok": true}}',
    });
  });

  const good = { road: 'dry', speed: 1, tags: [], extra: 0.5 };
  test.each([
    [[], '$ must be an object, got []'],
    [{ ...good, wet: 1 }, '$ has "wet", which is no property of the schema (road, speed, tags, extra)'],
    [{ road: 'dry', speed: 1, tags: [] }, '$ lacks "extra"; an answer has every property of the schema'],
    [{ ...good, road: 'Dry' }, '$.road must be "dry" or "icy" or null, got "Dry"'],
    [{ ...good, speed: 1.5 }, '$.speed must be an integer, got 1.5'],
    [
      { ...good, speed: 1e20 },
      '$.speed is 100000000000000000000; answers have at most 15 digits before the point and 6 after it',
    ],
    [{ ...good, extra: 1e-7 }, /^\$\.extra is 1e-7; .*, or \$\.extra must be an object, got 1e-7$/],
    [{ ...good, tags: ['a', 'b', 'c'] }, '$.tags has 3 items; it may have 0 to 2'],
    [{ ...good, tags: ['a', 'abcde'] }, '$.tags[1] has 5 characters; it may have 0 to 4'],
    [{ ...good, tags: ['\u0001'] }, '$.tags[0] holds a character that no answer has'],
    [{ ...good, tags: [1] }, '$.tags[0] must be a string, got 1'],
  ])('names the place of what no answer has: %j', (value, problem) => {
    const answer = writeJsonAnswer(value, schema);
    expect('problem' in answer ? answer.problem : '').toMatch(problem);
  });

  /** Whether the constraint lets a model write this text, byte by byte, and end. */
  function isWritable(text: string): boolean {
    const idOf = new Map(
      [...model.tokenizer.tokenBytes().entries()].flatMap(([id, bytes]) =>
        bytes?.length === 1 ? [[bytes[0], id] as const] : [],
      ),
    );
    const state = jsonConstraint(model.tokenizer, schema).start();
    for (const byte of new TextEncoder().encode(text)) {
      const mask = new Uint8Array(384);
      state.allow(mask, 10_000);
      const id = idOf.get(byte) ?? -1;
      if (mask[id] !== 1) return false;
      state.advance(id);
    }
    return state.isComplete || state.mayEnd;
  }

  test('writes exactly what the constraint lets a model write, and reads back what a model wrote', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e6 }), (seed) => {
        const state = jsonConstraint(model.tokenizer, schema).start();
        const random = keyedRandom(seed, 'random-logits');
        const ids: number[] = [];
        while (!state.isComplete && ids.length < 400) {
          const mask = new Uint8Array(384);
          state.allow(mask, 400 - ids.length);
          const id = drawToken(
            Float32Array.from(mask, (allowed) => (allowed ? random.normal() * 3 : -Infinity)),
            random,
          );
          ids.push(id);
          state.advance(id);
        }
        const value: unknown = JSON.parse(model.tokenizer.decode(ids));
        const answer = writeJsonAnswer(value, schema);
        const text = 'text' in answer ? answer.text : answer.problem;
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(isWritable(text)).toBe(true);
      }),
      { numRuns: 60 },
    );
    expect(isWritable('{"speed": 1}')).toBe(false);
  });
});
