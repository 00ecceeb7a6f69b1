import { describe, expect, test } from '@jest/globals';
import { sampleBatch, stratifiedBatch } from '@contextlora/trainer';

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
