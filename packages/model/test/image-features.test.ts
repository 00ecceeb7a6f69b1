import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openKernels, type Kernels } from '@contextlora/kernels';
import { initialiseSegments, partitionRanks } from '@contextlora/lora';
import {
  createLocalModel,
  type Example,
  type ImageFeatures,
  linearsOf,
  loadModel,
  type LoadedModel,
  ModelError,
  openImageFeatures,
} from '@contextlora/model';
import fc from 'fast-check';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { fixture } from './golden.js';
import { pngOf } from './write-picture.js';

let kernels: Kernels;
let model: LoadedModel;
let directory: string;
let paths: string[];
/** The features of each path by a store that holds all. */
let expected: Float32Array[];
let featureBytes: number;

beforeAll(async () => {
  kernels = await openKernels();
  model = await loadModel(fixture('smolvlm-tiny'), { kernels });
  directory = await mkdtemp(join(tmpdir(), 'features-'));
  paths = await Promise.all(
    Array.from({ length: 20 }, async (_, picture) => {
      const path = join(directory, `${picture}.png`);
      // Each row begins with its filter, 0.
      const rows = Uint8Array.from({ length: 8 * 25 }, (__, i) =>
        i % 25 === 0 ? 0 : (i * (picture + 3)) % 256,
      );
      await writeFile(path, pngOf({ width: 8, height: 8, rows }));
      return path;
    }),
  );
  expected = await openImageFeatures(model).get(paths);
  featureBytes = expected[0]!.byteLength;
});
afterAll(async () => {
  model.dispose();
  kernels.dispose();
  await rm(directory, { recursive: true, force: true });
});

/** Gets the pictures with these indexes and compares every byte. */
async function expectRight(features: ImageFeatures, indexes: readonly number[]): Promise<void> {
  const found = await features.get(indexes.map((i) => paths[i]!));
  expect(found).toHaveLength(indexes.length);
  for (const [at, i] of indexes.entries()) expect(found[at]).toEqual(expected[i]);
}
async function done(progress: AsyncIterable<unknown>): Promise<number> {
  let count = 0;
  for await (const step of progress) count += step === undefined ? 0 : 1;
  return count;
}
const upTo = (end: number) => Array.from({ length: end }, (_, i) => i);

describe('a store of features', () => {
  test('differs from picture to picture, so that the other tests see a mistake', () => {
    expect(new Set(expected.map((values) => values.join())).size).toBe(paths.length);
  });

  test('never drops what is being asked for', async () => {
    const features = openImageFeatures(model, { maximumBytes: 6 * featureBytes });
    await expectRight(features, upTo(6));
    await expectRight(features, [0, 6, 7]);
    await expectRight(features, upTo(20));
    await expectRight(features, [19, 0, 0, 19, 5]);
  });

  test('serves any requests, in turn and at once, whatever its size', async () => {
    const request = fc.array(fc.nat(19), { maxLength: 24 });
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 22 }),
        fc.integer({ min: 1, max: 9 }),
        fc.array(fc.tuple(fc.boolean(), fc.array(request, { minLength: 1, maxLength: 3 })), { maxLength: 5 }),
        async (held, batchSize, rounds) => {
          const features = openImageFeatures(model, { batchSize, maximumBytes: held * featureBytes });
          for (const [warms, requests] of rounds) {
            if (warms) await done(features.warm(paths.slice(0, held + 2)));
            await Promise.all(requests.map((indexes) => expectRight(features, indexes)));
          }
        },
      ),
      { numRuns: 25 },
    );
  });

  test('computes a picture once for two that ask at once, and keeps it', async () => {
    for (const maximumBytes of [0, 2 ** 20]) {
      const features = openImageFeatures(model, { maximumBytes });
      const [first, second] = await Promise.all([
        features.get(paths.slice(0, 2)),
        features.get(paths.slice(1, 3)),
      ]);
      expect(second[0]).toBe(first[1]);
      const [again] = await features.get(paths.slice(1, 2));
      expect(again === first[1]).toBe(maximumBytes > 0);
    }
  });

  test('drops the oldest first', async () => {
    const features = openImageFeatures(model, { maximumBytes: 2 * featureBytes });
    const [first, second] = await features.get(paths.slice(0, 2));
    const [third] = await features.get(paths.slice(2, 3));
    expect(await features.get([paths[2]!, paths[1]!])).toEqual([third, second]);
    expect((await features.get([paths[2]!]))[0]).toBe(third);
    const [again] = await features.get([paths[0]!]);
    expect(again).toEqual(first);
    expect(again).not.toBe(first);
  });

  test('goes on after a picture that could not be read', async () => {
    const features = openImageFeatures(model);
    const late = join(directory, 'late.png');
    const later = join(directory, 'later.png');
    const attempts = [
      features.get([paths[0]!, late]),
      features.get([late]),
      features.get([paths[0]!, paths[1]!]),
      features.get([late, paths[2]!, later]),
    ] as const;
    await expect(attempts[0]).rejects.toThrow(ModelError);
    await expect(attempts[1]).rejects.toThrow(/late\.png/);
    expect(await attempts[2]).toEqual([expected[0], expected[1]]);
    await expect(attempts[3]).rejects.toThrow(/2 pictures cannot be read:\n.*late\.png.*\n.*later\.png/);
    await writeFile(late, pngOf({ width: 3, height: 3 }));
    expect(await features.get([late])).toHaveLength(1);
    await expectRight(features, [0, 1]);
  });

  test('refuses sizes out of sense', () => {
    for (const options of [
      { batchSize: 0 },
      { batchSize: NaN },
      { batchSize: 1.5 },
      { maximumBytes: -1 },
      { maximumBytes: NaN },
    ])
      expect(() => openImageFeatures(model, options)).toThrow('model/openImageFeatures: "batchSize" is');
  });
});

test('training with a store of a tenth of the pictures gives the same bytes as with one for all', async () => {
  const trained = async (maximumBytes: number) => {
    const partition = partitionRanks(linearsOf(model.spec), [{ id: 'look', dependsOn: [] }], { rank: 2 });
    const local = createLocalModel(model, {
      partition,
      segments: initialiseSegments(partition, { seed: 1 }),
      features: openImageFeatures(model, { maximumBytes }),
    });
    const labels = ['a', 'b'];
    const examples = paths.map((image, i): Example => ({
      prompt: 'what',
      image,
      labels,
      answer: labels[i % 2]!,
    }));
    await local.setPhase({ tasks: ['look'], roles: { look: { look: 'train' } } });
    for (const at of [0, 5, 10, 15, 0, 5, 10, 15])
      await local.step('look', [examples.slice(at, at + 3), examples.slice(at + 3, at + 5)], {
        learningRate: 0.02,
      });
    const answers = await local.predict('look', examples, { look: 'freeze' });
    return { hash: await local.hashSegment('look'), answers };
  };
  const all = await trained(2 ** 30);
  expect(await trained(2 * featureBytes)).toEqual(all);
  expect(await trained(0)).toEqual(all);
});
