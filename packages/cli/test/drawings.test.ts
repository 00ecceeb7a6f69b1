import { createRequire } from 'node:module';

import { drawingFont, plotAccuracies, plotFront, plotLosses, renderPng } from '@contextlora/cli';
import type { TimeEnergyPoint } from '@contextlora/scheduler';
import { describe, expect, test } from '@jest/globals';
import { Resvg } from '@resvg/resvg-js';

/** The points of every path, in the order of drawing. */
const pathsOf = (svg: string): { points: number[][]; element: string }[] =>
  [...svg.matchAll(/<path d="([^"]*)"[^>]*>/g)].map(([element, commands = '']) => ({
    element,
    points: [...commands.matchAll(/[ML]([-\d.]+),([-\d.]+)/g)].map(([, x, y]) => [Number(x), Number(y)]),
  }));
const count = (text: string, part: string): number => text.split(part).length - 1;

describe('the plot of losses', () => {
  const losses = [
    { step: 0, task: 'a & b', loss: 4 },
    { step: 1, task: 'a & b', loss: 0 },
    { step: 2, task: 'a & b', loss: 2 },
    { step: 3, task: '<c>', loss: 1 },
    { step: 4, task: '<c>', loss: 3 },
  ];

  test('has every task faintly as it was and boldly as its running mean, and names it', () => {
    const svg = plotLosses(losses, { title: 'x < "y"', smoothSteps: 1 });
    const paths = pathsOf(svg);
    expect(paths).toHaveLength(4);
    const [a, c, smoothA, smoothC] = paths;
    expect(paths.map(({ element }) => element.includes('stroke-opacity'))).toEqual([
      true,
      true,
      false,
      false,
    ]);
    // 4, 0, 2 and their means with the step before: 4, 2, 1.
    const [four, zero, two] = a!.points.map(([, y]) => y!);
    expect(two).toBeCloseTo((four! + zero!) / 2);
    const [meanFour, meanTwo, meanOne] = smoothA!.points.map(([, y]) => y!);
    expect([meanFour, meanTwo]).toEqual([four, two]);
    expect(meanOne).toBeCloseTo((two! + zero!) / 2);
    // A task's mean starts with the task.
    expect(smoothC!.points[0]).toEqual(c!.points[0]);
    for (const text of ['x &lt; &quot;y&quot;', 'a &amp; b', '&lt;c&gt;', 'optimizer step', 'loss (nats)'])
      expect(svg).toContain(`>${text}</text>`);
  });

  test('leaves out losses that are no numbers, and draws a run without any', () => {
    const svg = plotLosses(
      [...losses, { step: 5, task: '<c>', loss: NaN }, { step: 6, task: '<c>', loss: 1 }],
      {
        title: '',
      },
    );
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    // The line breaks there, its mean goes on.
    expect(count(pathsOf(svg)[1]!.element, 'M')).toBe(2);
    expect(pathsOf(svg)[3]!.points).toHaveLength(4);
    const empty = plotLosses([], { title: 'nothing' });
    expect(empty).not.toMatch(/NaN|Infinity|undefined/);
    expect(pathsOf(empty)).toEqual([]);
  });
});

describe('the plot of accuracies', () => {
  test('has a line for each task and set of rows, level where nothing changed, and a dot for each evaluation', () => {
    const at = (step: number, task: string, test: string, accuracy: number) => ({
      step,
      task,
      test,
      accuracy,
    });
    const svg = plotAccuracies(
      [at(4, 'a', 'day', 0.75), at(4, 'a', 'night', 0.5), at(8, 'b', 'day', 1), at(8, 'a', 'day', 0.75)],
      { title: 'x' },
    );
    const [dayOfA, nightOfA, dayOfB] = pathsOf(svg);
    expect(dayOfA!.points).toHaveLength(2);
    expect(dayOfA!.points[0]![1]).toBe(dayOfA!.points[1]![1]);
    expect(nightOfA!.points).toEqual([[dayOfA!.points[0]![0], 186]]);
    // The whole of the area, 36 to 336 pixels, is from 1 to 0.
    expect(dayOfB!.points).toEqual([[892, 36]]);
    expect(count(svg, '<circle')).toBe(4);
    expect(plotAccuracies([], { title: '' })).not.toMatch(/NaN|Infinity|undefined/);
  });
});

describe('the plot of time against energy', () => {
  const point = (minutes: number, wattHours: number, ...devices: string[]): TimeEnergyPoint => ({
    totalSeconds: 60 * minutes,
    totalJoules: 3600 * wattHours,
    devices,
  });
  const frontPoint = (...args: Parameters<typeof point>) => ({
    ...point(...args),
    objective: 'time' as const,
  });
  const front = [frontPoint(1, 8, 'orin', 'nano'), frontPoint(2, 4, 'orin & <co>')];
  const alone = [point(16, 9, 'nano'), point(2, 4, 'orin & <co>'), point(4, 5, 'tx2')];
  const svg = plotFront({ front, alone }, { title: 'Plans (simulated)' });

  test('numbers the front and each other device alone, the fastest first, and names them in a key', () => {
    const texts = [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, text]) => text);
    const names = ['orin + nano', 'orin &amp; &lt;co&gt;', 'tx2', 'nano'];
    const keyed = texts.flatMap((text, index) => (names.includes(text!) ? [[texts[index - 1], text]] : []));
    expect(keyed).toEqual(names.map((name, index) => [`${index + 1}`, name]));
    for (const text of ['training, minutes', 'energy, Wh', 'Plans (simulated)', 'one device alone'])
      expect(texts).toContain(text);
  });

  test('has logarithmic axes, and joins the front by steps', () => {
    const dots = [...svg.matchAll(/<circle cx="([\d.]+)" cy="([\d.]+)"/g)].map(([, x, y]) => [
      Number(x),
      Number(y),
    ]);
    const [one, two, four, sixteen] = dots.map(([x]) => x!);
    // 1, 2, 4 and 16 minutes.
    expect(four! - two!).toBeCloseTo(two! - one!, 1);
    expect(sixteen! - four!).toBeCloseTo(2 * (two! - one!), 1);
    const [first, second] = dots;
    expect(pathsOf(svg).map(({ points }) => points)).toEqual([[first, [second![0], first![1]], second]]);
  });

  test('keeps the numbers of points near each other apart', () => {
    const near = plotFront({ front, alone: [point(16, 9, 'b'), point(16.01, 9, 'c')] }, { title: '' });
    const places = [
      ...near.matchAll(/<text x="([\d.]+)" y="([\d.]+)" text-anchor="middle"[^>]*>([34])<\/text>/g),
    ];
    const [third, fourth] = places.slice(-2).map(([, x, y]) => [Number(x), Number(y)]);
    expect(Math.hypot(third![0]! - fourth![0]!, third![1]! - fourth![1]!)).toBeGreaterThan(8);
  });

  test('is drawn for a single plan too', () => {
    const single = plotFront({ front: front.slice(0, 1), alone: [] }, { title: '' });
    expect(single).not.toMatch(/NaN|Infinity|undefined/);
    expect(count(single, '<circle')).toBe(3);
    for (const minutes of ['0.5', '1', '2']) expect(single).toContain(`>${minutes}</text>`);
  });
});

describe('pictures as PNG', () => {
  const svgOf = (text: string, weight = 'normal') =>
    `<svg xmlns="http://www.w3.org/2000/svg" width="900" height="40"><text x="10" y="25" font-family="${drawingFont}" font-weight="${weight}">${text}</text></svg>`;
  const require = createRequire(import.meta.url);
  const withWholeFont = (svg: string) =>
    new Resvg(svg, {
      font: {
        loadSystemFonts: false,
        fontFiles: [
          require.resolve('dejavu-fonts-ttf/ttf/DejaVuSans.ttf'),
          require.resolve('dejavu-fonts-ttf/ttf/DejaVuSans-Bold.ttf'),
        ],
        defaultFontFamily: drawingFont,
      },
      fitTo: { mode: 'width', value: 900 },
      background: 'white',
    })
      .render()
      .asPng();

  test.each(['normal', 'bold'])('look as they do with the whole font, in %s', (weight) => {
    for (const text of [
      'AVAST, 0–9 ffi × − % ° µ ·',
      '→ ← ≥ ≤ ≈ … “é” ß ő ñ',
      'Ελληνικά, Кириллица, Tiếng Việt',
      '█▓░ ● ✓',
    ]) {
      const svg = svgOf(text, weight);
      expect(Buffer.from(renderPng(svg, { widthPixels: 900 }))).toEqual(withWholeFont(svg));
    }
  });

  test('survive every name: what XML cannot hold is replaced', () => {
    const title = 'a\u0000b\u001bc "&<>\'';
    expect(renderPng(plotLosses([{ step: 0, task: title, loss: 1 }], { title })).length).toBeGreaterThan(
      1000,
    );
  });
});
