import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openKernels, type Kernels } from '@contextlora/kernels';
import { keyedRandom } from '@contextlora/lora';
import { drawToken, generate, jsonConstraint, loadModel, type LoadedModel } from '@contextlora/model';
import fc from 'fast-check';

import { fixture } from './golden.js';

type Schema = Readonly<Record<string, unknown>>;

/** An independent implementation of the supported keywords. */
function meets(value: unknown, schema: Schema): boolean {
  if (schema['anyOf']) return (schema['anyOf'] as Schema[]).some((option) => meets(value, option));
  if (schema['enum']) return (schema['enum'] as unknown[]).includes(value);
  if ('const' in schema) return value === schema['const'];
  const within = (size: number, least: string, most: string) =>
    size >= ((schema[least] as number | undefined) ?? 0) &&
    size <= ((schema[most] as number | undefined) ?? Infinity);
  return [schema['type']].flat().some((type) => {
    switch (type) {
      case 'object': {
        if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
        const properties = (schema['properties'] ?? {}) as Record<string, Schema>;
        const names = Object.keys(properties);
        return (
          JSON.stringify(Object.keys(value)) === JSON.stringify(names) &&
          names.every((name) => meets((value as Record<string, unknown>)[name], properties[name]!))
        );
      }
      case 'array':
        return (
          Array.isArray(value) &&
          within(value.length, 'minItems', 'maxItems') &&
          value.every((item) => meets(item, schema['items'] as Schema))
        );
      case 'string':
        return typeof value === 'string' && within(Array.from(value).length, 'minLength', 'maxLength');
      case 'integer':
        return Number.isInteger(value);
      case 'null':
        return value === null;
      default:
        return typeof value === type;
    }
  });
}

const range = (least: string, most: string, bound: number) =>
  fc
    .tuple(fc.integer({ min: 0, max: bound }), fc.integer({ min: 0, max: bound }))
    .map(([a, b]) => ({ [least]: Math.min(a, b), [most]: Math.max(a, b) }));
const { schema: schemas } = fc.letrec<{ schema: Schema }>((tie) => ({
  schema: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    fc.constantFrom<Schema>(
      { type: 'integer' },
      { type: 'number' },
      { type: 'boolean' },
      { type: 'null' },
      { type: ['string', 'null'], maxLength: 3 },
      { const: 'a "quoted" ü' },
    ),
    range('minLength', 'maxLength', 6).map((bounds): Schema => ({ type: 'string', ...bounds })),
    fc
      .array(fc.oneof(fc.string({ maxLength: 4 }), fc.integer(), fc.boolean()), {
        minLength: 1,
        maxLength: 4,
      })
      .map((values): Schema => ({ enum: values })),
    fc
      .tuple(tie('schema'), range('minItems', 'maxItems', 3))
      .map(([items, bounds]): Schema => ({ type: 'array', items, ...bounds })),
    fc
      .dictionary(fc.string({ minLength: 1, maxLength: 4 }), tie('schema'), {
        maxKeys: 3,
        noNullPrototype: true,
      })
      .map((properties): Schema => ({ type: 'object', properties, additionalProperties: false })),
    fc.array(tie('schema'), { minLength: 1, maxLength: 3 }).map((anyOf): Schema => ({ anyOf })),
  ),
}));

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

/** An answer of a model with random logits, which knows nothing of JSON. */
function randomAnswer(schema: Schema, seed: number, limit?: number) {
  const constraint = jsonConstraint(model.tokenizer, schema);
  const state = constraint.start();
  const random = keyedRandom(seed, 'random-logits');
  const most = limit ?? Math.max(constraint.minimumTokens, 400);
  const ids: number[] = [];
  while (!state.isComplete && ids.length < most) {
    const mask = new Uint8Array(384);
    state.allow(mask, most - ids.length);
    if (state.mayEnd && random.next() < 0.3) break;
    const scores = Float32Array.from(mask, (allowed) => (allowed ? random.normal() * 3 : -Infinity));
    const id = drawToken(scores, random);
    if (id < 0) {
      if (state.mayEnd) break;
      throw new Error(`nothing continues ${model.tokenizer.decode(ids)}`);
    }
    ids.push(id);
    state.advance(id);
  }
  return model.tokenizer.decode(ids);
}

describe('an answer constrained by a schema', () => {
  test('parses and meets the schema, whatever the schema and however bad the model', () => {
    fc.assert(
      fc.property(schemas, fc.integer({ min: 0, max: 1e6 }), (schema, seed) => {
        const value: unknown = JSON.parse(randomAnswer(schema, seed));
        expect(meets(value, schema)).toBe(true);
      }),
      { numRuns: 300, seed: 11 },
    );
  });

  test('ends in time even with the smallest sufficient number of tokens', () => {
    fc.assert(
      fc.property(
        schemas,
        fc.integer({ min: 0, max: 1e6 }),
        fc.integer({ min: 0, max: 5 }),
        (schema, seed, more) => {
          const { minimumTokens } = jsonConstraint(model.tokenizer, schema);
          expect(meets(JSON.parse(randomAnswer(schema, seed, minimumTokens + more)), schema)).toBe(true);
        },
      ),
      { numRuns: 200, seed: 12 },
    );
  });

  test('reaches every value of a small schema', () => {
    const schema = { type: 'object', properties: { a: { enum: ['x', 'y'] }, b: { type: 'boolean' } } };
    const seen = new Set(Array.from({ length: 60 }, (_, seed) => randomAnswer(schema, seed)));
    expect([...seen].sort()).toEqual([
      '{"a": "x", "b": false}',
      '{"a": "x", "b": true}',
      '{"a": "y", "b": false}',
      '{"a": "y", "b": true}',
    ]);
  });

  test('comes from a model through generate, greedy or sampled, and ends without an end token', async () => {
    const schema = {
      type: 'object',
      properties: {
        name: { type: 'string', maxLength: 8 },
        tags: { type: 'array', items: { enum: ['red', 'blue'] }, minItems: 1, maxItems: 2 },
        count: { type: 'integer' },
      },
      required: ['name'],
    };
    const constraint = jsonConstraint(model.tokenizer, schema);
    for (const temperature of [0, 1.5])
      for (const seed of [1, 2, 3]) {
        const rows = generate(model, 'answer', { constraint, temperature, seed, maximumNewTokens: 80 });
        let step = await rows.next();
        while (!step.done) step = await rows.next();
        expect(step.value.finish).toBe('end');
        expect(meets(JSON.parse(step.value.text), schema)).toBe(true);
      }
    await expect(generate(model, 'answer', { constraint, maximumNewTokens: 5 }).next()).rejects.toThrow(
      /may need \d+ tokens, but 5 are allowed/,
    );
  });
});

test('everything unsupported is refused at once, each with its path', () => {
  const schema = {
    type: 'object',
    properties: {
      'a/b': { type: 'string', pattern: '^x' },
      list: { type: 'array', minItems: 3, maxItems: 2, items: { $ref: '#/x' } },
      size: { type: 'integer', minimum: 0 },
      kind: { enum: [{}], type: 'string' },
    },
    required: ['c'],
  };
  expect(() => jsonConstraint(model.tokenizer, schema, { where: 'schema.json' })).toThrow(
    [
      'schema.json cannot be used:',
      '  #/required: "c" is not among the properties',
      '  #/properties/a~1b/pattern: this keyword is not supported; here minLength, maxLength are',
      '  #/properties/list/items/type: must be one of object, string, array, number, integer, boolean, null, or a list of them, got none',
      '  #/properties/list/minItems: 3 is more than maxItems 2',
      '  #/properties/size/minimum: this keyword is not supported',
      '  #/properties/kind/enum/0: only strings, numbers, booleans and null can be listed',
    ].join('\n'),
  );
  expect(() => jsonConstraint(model.tokenizer, { type: 'string', maxLength: 1e6 })).toThrow(
    'give its strings a maxLength and its arrays a maxItems',
  );
});
