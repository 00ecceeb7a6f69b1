import { describe, expect, test } from '@jest/globals';
import {
  balancedBatch,
  bucketedBatch,
  sampleBatch,
  type SampleBatch,
  stratifiedBatch,
} from '@contextlora/trainer';

const key = (step: number) => ({ seed: 3, task: 'joint', step });
const steps = (count: number) => Array.from({ length: count }, (_, step) => step);

describe('a batch of consecutive slices', () => {
  test('shows every example once per epoch, in another order each time', () => {
    const order = steps(6).flatMap((step) => sampleBatch(9, 3, key(step)));
    const [first, second] = [order.slice(0, 9), order.slice(9)];
    for (const epoch of [first, second])
      expect([...epoch].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(second).not.toEqual(first);
  });
});

describe('a stratified batch', () => {
  const groups = [
    { name: 'many', count: 40 },
    { name: 'few', count: 3 },
  ];
  const sample = stratifiedBatch(groups);

  test('has an equal share of every group, so that a scarce task is not drowned by the others', () => {
    for (const step of steps(20)) {
      const batch = sample(43, 8, key(step));
      expect(batch.filter((index) => index < 40)).toHaveLength(4);
      expect(batch.filter((index) => index >= 40 && index < 43)).toHaveLength(4);
    }
  });

  test('repeats a small group evenly', () => {
    const seen = steps(3).flatMap((step) => sample(43, 8, key(step)).filter((index) => index >= 40));
    for (const index of [40, 41, 42]) expect(seen.filter((other) => other === index)).toHaveLength(4);
  });

  test('draws groups of one size in different orders, so that no example always meets the same other', () => {
    const pairs = stratifiedBatch([
      { name: 'left', count: 30 },
      { name: 'right', count: 30 },
    ])(60, 60, key(0));
    expect(pairs.slice(30).map((index) => index - 30)).not.toEqual(pairs.slice(0, 30));
  });

  test('draws each group by its own name: another group moves none of its examples', () => {
    const alone = stratifiedBatch([{ name: 'few', count: 3 }]);
    const few = sample(43, 8, key(5)).filter((index) => index >= 40);
    expect(few.map((index) => index - 40)).toEqual(alone(3, 4, key(5)));
  });
});

describe('a batch of similar lengths', () => {
  const lengths = Array.from({ length: 203 }, (_, i) => 10 + ((i * 37) % 101));
  const drawn = (sample: SampleBatch, count: number) => steps(count).map((step) => sample(203, 8, key(step)));

  test.each([1, 2, 3])('shows every example once in epoch %i, and repeats none before', (epoch) => {
    const all = drawn(bucketedBatch(lengths), 80).flat();
    const own = all.slice(203 * (epoch - 1), 203 * epoch);
    expect([...own].sort((a, b) => a - b)).toEqual(steps(203));
  });

  test('is padded much less than a shuffled one, and comes in another order in each epoch', () => {
    const padding = (batches: number[][]) =>
      batches.reduce((sum, batch) => {
        const own = batch.map((index) => lengths[index] ?? 0);
        return sum + own.length * Math.max(...own) - own.reduce((a, b) => a + b, 0);
      }, 0);
    const bucketed = drawn(bucketedBatch(lengths), 76);
    expect(padding(bucketed)).toBeLessThan(0.25 * padding(drawn(sampleBatch, 76)));
    expect(bucketed.flat().slice(203, 406)).not.toEqual(bucketed.flat().slice(0, 203));
    const longest = bucketed
      .slice(0, 25)
      .map((batch) => Math.max(...batch.map((index) => lengths[index] ?? 0)));
    expect(longest).not.toEqual([...longest].sort((a, b) => a - b));
  });

  test('is a function of the step: asked for alone, a step has the same examples', () => {
    const inOrder = drawn(bucketedBatch(lengths), 60);
    for (const step of [59, 3, 26]) expect(bucketedBatch(lengths)(203, 8, key(step))).toEqual(inOrder[step]);
  });
});

describe('a balanced batch', () => {
  const classes = [...Array<string>(30).fill('dry'), ...Array<string>(6).fill('wet'), 'icy'];
  const sample = balancedBatch(classes);

  test('has every class equally often, over steps whose size the classes do not divide', () => {
    const all = steps(9).flatMap((step) => sample(37, 16, key(step)));
    for (const name of ['dry', 'wet', 'icy'])
      expect(all.filter((index) => classes[index] === name)).toHaveLength((9 * 16) / 3);
  });

  test('shows every example of a class once before it repeats one', () => {
    const wet = steps(9)
      .flatMap((step) => sample(37, 16, key(step)))
      .filter((index) => classes[index] === 'wet');
    expect([...wet.slice(0, 6)].sort()).toEqual([30, 31, 32, 33, 34, 35]);
  });

  test('refuses examples that its classes are not of', () => {
    expect(() => sample(36, 16, key(0))).toThrow(/has 36 training examples, but 37 classes were given/);
  });
});
