import { type Kernels, openKernels } from '@contextlora/kernels';
import {
  type AnswerRow,
  generateBatch,
  type GenerateRequest,
  loadModel,
  type LoadedModel,
  openAnswerBatch,
  openAnswerRow,
  openLabelChoice,
  type SegmentsByLinear,
} from '@contextlora/model';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { fixture, segmentsOf } from './golden.js';

describe.each(['reference', 'wasm', 'onnx'] as const)('on the %s backend', (backend) => {
  let kernels: Kernels;
  let model: LoadedModel;
  let maps: (SegmentsByLinear | undefined)[];
  beforeAll(async () => {
    kernels = await openKernels({ prefer: backend });
    model = await loadModel(fixture('llama-tiny'), { kernels });
    const of = (task: string) => segmentsOf(model, [`partition/segments/${task}`], { train: false });
    maps = [undefined, await of('vehicle'), await of('weather')];
  });
  afterAll(() => {
    model.dispose();
    kernels.dispose();
  });

  const alone = async (request: GenerateRequest) => {
    const rows = generateBatch(model, [request]);
    for (;;) {
      const { done, value } = await rows.next();
      if (done) return value[0]?.ids;
    }
  };

  test('rows of several tasks that join while others are under way answer as each does alone', async () => {
    const request = fc.record({
      length: fc.integer({ min: 1, max: 6 }),
      tokens: fc.integer({ min: 1, max: 9 }),
      task: fc.integer({ min: 0, max: 2 }),
      pass: fc.integer({ min: 0, max: 6 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 6 }), async (asked) => {
        const requests = asked.map(({ length, tokens, task }, i): GenerateRequest => ({
          prompt: Array.from({ length }, (_, at) => 5 + ((17 * i + 31 * at) % 200)),
          maximumNewTokens: tokens,
          endIds: [],
          ...(maps[task] ? { segments: maps[task] } : {}),
        }));
        const batch = openAnswerBatch(model);
        const rows = requests.map((one, i) => openAnswerRow(model, one, i));
        const told: number[][] = rows.map(() => []);
        for (let pass = 0; pass <= 6 || batch.rows.length > 0; pass++) {
          const joining = rows.filter((_, i) => asked[i]?.pass === pass);
          for (const { event } of [...(await batch.step()), ...(await batch.join(joining))])
            if (event) told[event.row]?.push(event.id);
        }
        batch.dispose();
        expect(rows.map(({ ids }) => ids)).toEqual(await Promise.all(requests.map(alone)));
        expect(told).toEqual(rows.map(({ ids }) => ids));
      }),
      { numRuns: backend === 'reference' ? 5 : 20, seed: 7 },
    );
  });

  test('a row that is dropped, or cannot go on, changes nothing for the others', async () => {
    const request: GenerateRequest = { prompt: [1, 20, 30], maximumNewTokens: 8, endIds: [] };
    const open = (index: number) => openAnswerRow(model, request, index);
    const broken: AnswerRow = {
      ...open(1),
      finish: undefined,
      take: () => {
        throw new Error('no token');
      },
    };
    const [kept, dropped] = [open(0), open(2)];
    const batch = openAnswerBatch(model);
    const steps = await batch.join([kept, broken, dropped]);
    expect(steps.map(({ error }) => (error as Error | undefined)?.message)).toEqual([
      undefined,
      'no token',
      undefined,
    ]);
    expect(batch.rows).toEqual([kept, dropped]);
    batch.drop([dropped]);
    while (batch.rows.length > 0) await batch.step();
    expect(kept.ids).toEqual(await alone(request));
    expect(dropped.ids).toHaveLength(1);
    batch.dispose();
  });

  test('labels of several tasks chosen together are as likely as each alone', async () => {
    const choose = openLabelChoice(model);
    const labels = ['ab', 'c', 'de'];
    const questions = maps.flatMap((segments, i) =>
      [3, 5].map((length) => ({
        ids: Array.from({ length }, (_, at) => 9 + 20 * i + 7 * at),
        labels,
        ...(segments ? { segments } : {}),
      })),
    );
    const together = await choose(questions);
    for (const [i, question] of questions.entries()) {
      const [single] = await choose([question]);
      expect(together[i]?.answer).toBe(single?.answer);
      for (const [j, value] of (single?.labelLogProbabilities ?? []).entries())
        expect(together[i]?.labelLogProbabilities[j]).toBeCloseTo(value, 4);
    }
    expect(new Set(together.map(({ labelLogProbabilities: [first] }) => first?.toFixed(3))).size).toBe(6);
  });
});
