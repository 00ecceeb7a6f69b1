import { linearProbe } from '@contextlora/benchmarks';
import { keyedRandom } from '@contextlora/lora';
import { describe, expect, test } from '@jest/globals';

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
