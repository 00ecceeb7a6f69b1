import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  captionsOf,
  createSceneRenderer,
  decideStrategy,
  drawPretrainingScene,
  drawSituation,
  iovSplits,
  iovTasks,
  labelsOf,
  linearProbe,
  pictureWords,
  pretrainingText,
  questionsOf,
  readingWords,
  roadLabels,
  type Situation,
  speedLimits,
  strategyLabels,
  vehicleLabels,
  weatherLabels,
  writeIovDataset,
} from '@contextlora/benchmarks';
import { keyedRandom } from '@contextlora/lora';

const allSituations: Situation[] = vehicleLabels.flatMap((vehicle) =>
  weatherLabels.flatMap((weather) =>
    roadLabels.flatMap((road) => speedLimits.map((limit) => ({ vehicle, weather, road, limit }))),
  ),
);

describe('the driving strategy', () => {
  test('is decided by no single input', () => {
    for (const key of ['vehicle', 'weather', 'road', 'limit'] as const) {
      const values = new Set(allSituations.map((situation) => situation[key]));
      for (const value of values) {
        const decisions = new Set(allSituations.filter((s) => s[key] === value).map(decideStrategy));
        expect(decisions.size).toBeGreaterThan(1);
      }
    }
  });

  test('depends on every input somewhere, the limit in the text included', () => {
    for (const key of ['vehicle', 'weather', 'road', 'limit'] as const) {
      const changes = allSituations.some((one) =>
        allSituations.some(
          (other) =>
            decideStrategy(one) !== decideStrategy(other) &&
            (['vehicle', 'weather', 'road', 'limit'] as const).every((k) => k === key || one[k] === other[k]),
        ),
      );
      expect(changes).toBe(true);
    }
  });

  test('gives every answer, and each answer needs at least two inputs to be sure of', () => {
    expect(new Set(allSituations.map(decideStrategy))).toEqual(new Set(strategyLabels));
    for (const label of strategyLabels)
      for (const key of ['vehicle', 'weather', 'road', 'limit'] as const) {
        const values = new Set(allSituations.filter((s) => decideStrategy(s) === label).map((s) => s[key]));
        for (const value of values)
          expect(
            allSituations.filter((s) => s[key] === value).every((s) => decideStrategy(s) === label),
          ).toBe(false);
      }
  });
});

describe('scenes', () => {
  const draw = (style: 'noto' | 'fluent') =>
    drawSituation('vehicle', 'close', { random: keyedRandom(1, 'x'), style, appearance: 'a' }).scene;

  test('render to the same bytes for the same scene, and differently in another style', async () => {
    const renderer = createSceneRenderer(['noto', 'fluent']);
    const [one, again, other] = await Promise.all(
      [draw('noto'), draw('noto'), draw('fluent')].map((s) => renderer.render(s)),
    );
    expect(one).toHaveLength(64 * 64 * 3);
    expect(again).toEqual(one);
    expect(other).not.toEqual(one);
  });

  test('have the answer that was asked for, in every task and for every label', () => {
    for (const task of iovTasks)
      for (const label of labelsOf[task]) {
        const drawn = drawSituation(task, label, {
          random: keyedRandom(2, task, label),
          style: 'noto',
          appearance: '',
        });
        expect(drawn.answers[task]).toBe(label);
        expect(drawn.answers.strategy).toBe(decideStrategy(drawn.situation));
      }
  });
});

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

  test('gives each row its image, its text and the gold answers of its parents', async () => {
    for (const { text, parents, answer } of await rowsOf('strategy.train')) {
      expect(text).toMatch(/^limit (30|50|80|120) \.$/);
      const limit = Number(text.split(' ')[1]) as Situation['limit'];
      expect(decideStrategy({ ...(parents as unknown as Situation), limit })).toBe(answer);
    }
    expect(Object.keys((await rowsOf('road.test'))[0]?.parents ?? {})).toEqual(['weather']);
  });

  test('never shows one scene in two splits', async () => {
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

describe('what the base model was told', () => {
  const labels = new Set(Object.values(labelsOf).flat());
  const taskQuestions = [/traffic ahead/, /weather now/, /road surface/, /best strategy/];
  const scenes = Array.from({ length: 400 }, (_, i) => {
    const random = keyedRandom(5, 'corpus', i);
    return { scene: drawPretrainingScene(random, String(i)), random };
  });

  test('never asks a question of the tasks', () => {
    for (const { scene, random } of scenes)
      for (const question of taskQuestions) expect(pretrainingText(scene, random)).not.toMatch(question);
  });

  test('never says an answer word of the tasks about a picture', () => {
    for (const word of pictureWords()) expect(labels.has(word)).toBe(false);
    for (const { scene, random } of scenes) {
      const said = [
        ...captionsOf(scene),
        ...questionsOf(scene, random).map(({ answer }) => answer),
        pretrainingText(scene, random),
      ];
      for (const word of said.join(' ').split(' ')) {
        expect(labels.has(word)).toBe(false);
        expect(pictureWords().has(word)).toBe(true);
      }
    }
  });

  test('has the answer words only among the words of the look-ups, each once', () => {
    for (const label of labels) expect(readingWords.filter((word) => word === label)).toHaveLength(1);
    expect(readingWords.length).toBeGreaterThan(5 * labels.size);
  });
});

describe('the linear probe', () => {
  test('learns what is linear and stays at chance on noise', () => {
    const random = keyedRandom(1, 'probe');
    const features = Array.from({ length: 400 }, () =>
      Float32Array.from({ length: 6 }, () => random.normal()),
    );
    const linear = features.map((row) => (row[0]! + row[1]! > 0 ? 1 : 0));
    const noise = features.map(() => random.integer(2));
    const split = <T>(items: readonly T[]) => [items.slice(0, 300), items.slice(300)] as const;
    const probe = (classes: readonly number[]) => {
      const [f, c] = [split(features), split(classes)];
      return linearProbe({ features: f[0], classes: c[0] }, [{ features: f[1], classes: c[1] }], {
        classCount: 2,
        seed: 1,
      })[0]!;
    };
    expect(probe(linear)).toBeGreaterThan(0.9);
    expect(probe(noise)).toBeLessThan(0.65);
  });
});
