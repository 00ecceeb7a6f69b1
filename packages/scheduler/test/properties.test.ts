/** A few of the problems of `npm run check:scheduler`, which draws thousands. */
import { describe, expect, test } from '@jest/globals';
import { graphOf, propertyGroups } from '../bench/plan-properties.js';

describe.each([
  // 41 and 188: groups that train but exchange nothing do not begin a step together.
  ['exact', [0, 1, 2, 41, 188]],
  ['never-worse', [0, 1, 2]],
] as const)('every plan of the group "%s"', (name, numbers) => {
  const group = propertyGroups[name]!;

  test.each(numbers)('keeps its properties in random problem %d', (number) => {
    const findings = [...group.findings(graphOf(group, number), number)];
    expect(findings.length).toBeGreaterThan(0);
    expect(findings.filter(({ ratio, most = 1 }) => !(ratio <= most * (1 + 1e-9)))).toEqual([]);
  });
});
