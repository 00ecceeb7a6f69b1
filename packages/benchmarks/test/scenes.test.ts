import {
  createSceneRenderer,
  decideStrategy,
  drawSituation,
  iovTasks,
  labelsOf,
} from '@contextlora/benchmarks';
import { keyedRandom } from '@contextlora/lora';
import { describe, expect, test } from '@jest/globals';

describe('scenes', () => {
  const draw = (style: 'noto' | 'fluent') =>
    drawSituation('vehicle', 'close', { random: keyedRandom(1, 'x'), style, appearance: 'a' }).scene;

  test('render to the same bytes every time, and differently in another style', async () => {
    const renderer = createSceneRenderer(['noto', 'fluent']);
    const [first, again, other] = await Promise.all(
      [draw('noto'), draw('noto'), draw('fluent')].map((s) => renderer.render(s)),
    );
    expect(first).toHaveLength(64 * 64 * 3);
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
  });

  test.each([['bogus'], ['noto', 'toString'], ['../package']])(
    'refuse unknown styles by name: %s',
    (...styles) => {
      const create = () => createSceneRenderer(styles as never);
      expect(create).toThrow(
        `benchmarks/createSceneRenderer: style ${JSON.stringify(styles.at(-1))} is unknown; the styles are noto, fluent`,
      );
      expect(() => createSceneRenderer([])).toThrow('no style is given; the styles are noto, fluent');
    },
  );

  test('have the requested answer, for every label of every task', () => {
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
