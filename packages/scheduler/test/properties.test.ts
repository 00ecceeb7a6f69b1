/** A few of the problems of `npm run check:scheduler`, which draws thousands. */
import { describe, expect, test } from '@jest/globals';
import { graphOf, propertyGroups } from '../bench/plan-properties.js';

describe.each([
  ['exact', 5],
  ['never-worse', 3],
] as const)('every plan of the group "%s"', (name, draws) => {
  const group = propertyGroups[name]!;

  test(`keeps its properties in ${draws} random problems`, () => {
    const broken: string[] = [];
    const seen = new Set<string>();
    for (let number = 0; number < draws; number++)
      for (const { property, ratio } of group.findings(graphOf(group, number), number)) {
        seen.add(property);
        if (!(ratio <= 1 + 1e-9)) broken.push(`${number}: ${property}: ${ratio}`);
      }
    expect(broken).toEqual([]);
    expect(seen.size).toBeGreaterThan(4);
  });
});
