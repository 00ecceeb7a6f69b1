import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  decideStrategy,
  iovSplits,
  iovTasks,
  type Situation,
  writeIovDataset,
} from '@contextlora/benchmarks';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

describe('the data set', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'iov-'));
    const counts = { vehicle: 6, weather: 6, road: 6, strategy: 6 };
    const all = Object.fromEntries(iovSplits.map((split) => [split, counts])) as Record<
      (typeof iovSplits)[number],
      typeof counts
    >;
    for await (const { done, total } of writeIovDataset(directory, { seed: 3, counts: all }))
      expect(done).toBeLessThanOrEqual(total);
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));
  const rowsOf = async (name: string) =>
    (await readFile(join(directory, `${name}.jsonl`), 'utf8'))
      .trim()
      .split('\n')
      .map(
        (line) =>
          JSON.parse(line) as {
            image: string;
            text: string;
            parents: Record<string, string>;
            answer: string;
          },
      );

  test('has an image, a text and the right answers of the parents in each row', async () => {
    for (const { text, parents, answer } of await rowsOf('strategy.train')) {
      expect(text).toMatch(/^limit (30|50|80|120) \.$/);
      const limit = Number(text.split(' ')[1]) as Situation['limit'];
      expect(decideStrategy({ ...(parents as unknown as Situation), limit })).toBe(answer);
    }
    expect(Object.keys((await rowsOf('road.test'))[0]?.parents ?? {})).toEqual(['weather']);
  });

  test('never has the same scene in two splits', async () => {
    const seen = new Map<string, string>();
    for (const split of iovSplits)
      for (const task of iovTasks)
        for (const { image } of await rowsOf(`${task}.${split}`)) {
          const bytes = (await readFile(join(directory, image))).toString('base64');
          expect(seen.get(bytes)).toBeUndefined();
          seen.set(bytes, split);
        }
    expect(seen.size).toBe(4 * 4 * 6);
  });
});
