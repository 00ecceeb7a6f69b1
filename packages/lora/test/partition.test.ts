import { describe, expect, test } from '@jest/globals';
import {
  addTask,
  type Allocate,
  allocateByData,
  allocateByImportance,
  allocateByLevel,
  allocateByShare,
  allocateFixed,
  closureOf,
  composeTask,
  initialiseSegment,
  initialiseSegments,
  keyedRandom,
  type LinearShape,
  masksFor,
  type Partition,
  partitionRanks,
  rankOfLayer,
  removeTask,
  scaleOf,
  validatePartition,
} from '@contextlora/lora';
import { hashSegment } from '@contextlora/lora/files';
import fc from 'fast-check';

const linears: LinearShape[] = [0, 1, 2].flatMap((layerIndex) => [
  { name: `model.layers.${layerIndex}.self_attn.q_proj`, inFeatures: 8, outFeatures: 6, layerIndex },
  { name: `model.layers.${layerIndex}.mlp.up_proj`, inFeatures: 8, outFeatures: 12, layerIndex },
]);
const tasks = [
  { id: 'vehicle', dependsOn: [] },
  { id: 'weather', dependsOn: [] },
  { id: 'road', dependsOn: ['weather'] },
  { id: 'strategy', dependsOn: ['vehicle', 'road'] },
];
const ranksIn = (partition: Partition, layer: string) =>
  Object.fromEntries(
    Object.entries(partition.layers[layer]?.spans ?? {}).map(([id, s]) => [id, s.end - s.start]),
  );

describe('a partition', () => {
  test('shares the ranks of every layer evenly, what is left over going to the first tasks', () => {
    const partition = partitionRanks(linears, tasks, { rank: 10 });
    expect(partition.layers['model.layers.0.mlp.up_proj']?.spans).toEqual({
      vehicle: { start: 0, end: 3 },
      weather: { start: 3, end: 6 },
      road: { start: 6, end: 8 },
      strategy: { start: 8, end: 10 },
    });
  });

  test('covers each layer exactly once for any ranks, tasks and shares', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.array(fc.double({ min: 0.1, max: 10, noNaN: true }), { minLength: 1, maxLength: 8 }),
        fc.constantFrom(allocateByShare, allocateByLevel),
        (extra, shares, allocate) => {
          const drawn = shares.map((share, i) => ({
            id: `t${i}`,
            dependsOn: i > 1 ? [`t${i - 2}`] : [],
            share,
          }));
          const rank = drawn.length + extra;
          const partition = partitionRanks(linears, drawn, { rank, allocate });
          expect(() => validatePartition(JSON.parse(JSON.stringify(partition)))).not.toThrow();
          for (const layer of Object.values(partition.layers)) {
            expect(rankOfLayer(layer)).toBe(rank);
            expect(Object.keys(layer.spans)).toHaveLength(drawn.length);
          }
        },
      ),
    );
  });

  test('follows shares unless another allocation is given, and refuses those that are no weight', () => {
    const weighted = (share: number) => tasks.map((task, i) => (i === 0 ? { ...task, share } : task));
    const given = partitionRanks(linears, weighted(4), { rank: 10 });
    expect(given).toEqual(partitionRanks(linears, weighted(4), { rank: 10, allocate: allocateByShare }));
    expect(given).not.toEqual(partitionRanks(linears, tasks, { rank: 10 }));
    for (const share of [0, -1, NaN, Infinity])
      expect(() => partitionRanks(linears, weighted(share), { rank: 10 })).toThrow(
        `has the share ${share}; it must be a positive number`,
      );
  });

  test('gives ranks in proportion to the shares, at least 1 each, the largest fractions rounding up', () => {
    const shareOut = (rank: number, ...shares: (number | undefined)[]) =>
      Object.values(
        ranksIn(
          partitionRanks(
            linears,
            shares.map((share, i) => ({
              id: `t${i}`,
              dependsOn: [],
              ...(share === undefined ? {} : { share }),
            })),
            { rank, allocate: allocateByShare },
          ),
          'model.layers.0.mlp.up_proj',
        ),
      );
    expect(shareOut(12, 3, undefined)).toEqual([9, 3]);
    // 1 each, then 7 in proportion: 3.5, 2.33 and 1.17.
    expect(shareOut(10, 3, 2, 1)).toEqual([5, 3, 2]);
    expect(shareOut(5, 1000, 1, 1)).toEqual([3, 1, 1]);
  });

  test('gives early tasks more of the lower layers and late tasks more of the upper, up to four times as much', () => {
    const chain = ['a', 'b', 'c'].map((id, i, ids) => ({ id, dependsOn: ids.slice(0, i).slice(-1) }));
    const partition = partitionRanks(linears, chain, { rank: 18, allocate: allocateByLevel });
    const ranks = [0, 1, 2].map((layer) => ranksIn(partition, `model.layers.${layer}.mlp.up_proj`));
    // Weights 4, 2.5 and 1 of 7.5 share 15 ranks in the lowest layer; 2.5, 4 and 2.5 of 9 in the middle one.
    expect(ranks).toEqual([
      { a: 9, b: 6, c: 3 },
      { a: 5, b: 8, c: 5 },
      { a: 3, b: 6, c: 9 },
    ]);
  });

  test('keeps a task out of the layers it may not own', () => {
    const partition = partitionRanks(linears, tasks, { rank: 8, only: { strategy: { from: 2, to: 3 } } });
    expect('strategy' in (partition.layers['model.layers.1.mlp.up_proj']?.spans ?? {})).toBe(false);
    expect('strategy' in (partition.layers['model.layers.2.mlp.up_proj']?.spans ?? {})).toBe(true);
  });

  test('refuses a rank smaller than the number of tasks and says what to do', () => {
    expect(() => partitionRanks(linears, tasks, { rank: 3 })).toThrow(
      'lora/partitionRanks: rank 3 cannot be shared by 4 tasks: each needs at least 1; raise the rank to 4 or more, or leave tasks out',
    );
  });

  test('read from a file is checked, with all problems at once', () => {
    const partition = partitionRanks(linears, tasks, { rank: 8 });
    const [layer = ''] = Object.keys(partition.layers);
    const broken = JSON.parse(JSON.stringify(partition)) as {
      tasks: Record<string, { alpha: number }>;
      layers: Record<string, { spans: Record<string, object> }>;
    };
    (broken.tasks['road'] as { alpha: number }).alpha = -1;
    (broken.layers[layer] as { spans: Record<string, object> }).spans['road'] = { start: 5, end: 6 };
    expect(() => validatePartition(broken, 'p.json')).toThrow(/p\.json:[\s\S]*alpha -1[\s\S]*span of "road"/);
  });
});

describe('adding and removing tasks', () => {
  const small = partitionRanks(linears, tasks.slice(0, 3), { rank: 6 });

  test('a task added later moves no span and no number of the others', () => {
    const larger = addTask(small, tasks[3] ?? { id: '', dependsOn: [] }, { rank: 2 });
    for (const [name, { spans }] of Object.entries(small.layers))
      for (const [id, span] of Object.entries(spans)) expect(larger.layers[name]?.spans[id]).toEqual(span);
    const [before, after] = [initialiseSegments(small, { seed: 3 }), initialiseSegments(larger, { seed: 3 })];
    for (const id of small.order) expect(hashSegment(after[id] ?? {})).toBe(hashSegment(before[id] ?? {}));
  });

  test('removing the last task restores the partition, and one that others need is kept', () => {
    const larger = addTask(small, tasks[3] ?? { id: '', dependsOn: [] }, { rank: 2 });
    expect(removeTask(larger, 'strategy')).toEqual(small);
    expect(() => removeTask(larger, 'weather')).toThrow('"road" depends on "weather"');
  });
});

describe('segments', () => {
  const partition = partitionRanks(linears, tasks, { rank: 8 });

  test('start with B zero and A uniform in ±1/√in, depending on seed, task and layer alone', () => {
    const segment = initialiseSegment(partition, 'road', { seed: 1 });
    const matrices = Object.values(segment);
    expect(matrices.every(({ b }) => b.every((value) => value === 0))).toBe(true);
    const all = matrices.flatMap(({ a }) => [...a]);
    expect(Math.max(...all.map(Math.abs))).toBeLessThanOrEqual(1 / Math.sqrt(8));
    expect(Math.abs(all.reduce((s, v) => s + v, 0) / all.length)).toBeLessThan(0.05);
    expect(hashSegment(initialiseSegment(partition, 'road', { seed: 1 }))).toBe(hashSegment(segment));
    expect(hashSegment(initialiseSegment(partition, 'road', { seed: 2 }))).not.toBe(hashSegment(segment));
  });

  test('hash differently when a single bit differs', () => {
    const segment = initialiseSegment(partition, 'road', { seed: 1 });
    const before = hashSegment(segment);
    const [first] = Object.values(segment);
    if (first) first.b[0] = 1e-45;
    expect(hashSegment(segment)).not.toBe(before);
  });
});

describe('masks', () => {
  const partition = partitionRanks(linears, tasks, { rank: 8 });

  test('name what is active and what trains; masked segments do not appear', () => {
    const [mask] = masksFor(partition, { weather: 'freeze', road: 'train', vehicle: 'mask' });
    expect(mask?.active).toEqual([
      { task: 'weather', span: { start: 2, end: 4 }, scale: 2, train: false },
      { task: 'road', span: { start: 4, end: 6 }, scale: 2, train: true },
    ]);
  });

  test('find no role, rank or segment in what every object inherits', () => {
    const ids = ['toString', 'constructor'];
    const named = partitionRanks(
      linears,
      ids.map((id) => ({ id, dependsOn: [] })),
      { rank: 4, only: { constructor: { from: 2, to: 3 } } },
    );
    expect(ranksIn(named, 'model.layers.0.mlp.up_proj')).toEqual({ toString: 4 });
    expect(
      masksFor(named, Object.fromEntries([['constructor', 'train' as const]])).flatMap(
        ({ active }) => active,
      ),
    ).toHaveLength(2);
    expect(Object.keys(initialiseSegment(named, 'constructor', { seed: 1 }))).toHaveLength(2);
    expect(Object.keys(composeTask(named, initialiseSegments(named, { seed: 1 }), 'toString'))).toHaveLength(
      6,
    );
    expect(() => closureOf(named, 'valueOf')).toThrow(expect.objectContaining({ code: 'LORA_TASK_UNKNOWN' }));
  });

  test('refuse roles of an unknown task', () => {
    expect(() => masksFor(partition, { rain: 'train' })).toThrow('"rain"');
  });

  test('the closure lists ancestors before dependants', () => {
    expect(closureOf(partition, 'strategy')).toEqual(['vehicle', 'weather', 'road', 'strategy']);
  });

  test('rsLoRA divides by the root of the rank', () => {
    expect(scaleOf({ dependsOn: [], alpha: 8, scaling: 'rslora' }, 4)).toBe(4);
    expect(scaleOf({ dependsOn: [], alpha: 8, scaling: 'standard' }, 4)).toBe(2);
  });
});

describe('keyed random streams', () => {
  test('are equal for equal keys and unrelated otherwise', () => {
    const draw = (...key: (string | number)[]) => {
      const random = keyedRandom(7, ...key);
      return Array.from({ length: 4 }, () => random.next());
    };
    expect(draw('a', 'bc')).toEqual(draw('a', 'bc'));
    expect(draw('a', 'bc')).not.toEqual(draw('ab', 'c'));
  });

  test('are uniform and normal as they say', () => {
    const random = keyedRandom(1, 'moments');
    const uniform = Array.from({ length: 20_000 }, () => random.next());
    const normal = Array.from({ length: 20_000 }, () => random.normal());
    const mean = (values: number[]) => values.reduce((s, v) => s + v, 0) / values.length;
    expect(mean(uniform)).toBeCloseTo(0.5, 1);
    expect(mean(normal.map((v) => v * v))).toBeCloseTo(1, 1);
    expect(random.shuffle([1, 2, 3, 4, 5]).sort()).toEqual([1, 2, 3, 4, 5]);
  });
});

describe('where a task owns ranks', () => {
  const linears = [0, 1].flatMap((layerIndex) =>
    ['q_proj', 'v_proj'].map((name) => ({
      name: `layers.${layerIndex}.attn.${name}`,
      inFeatures: 8,
      outFeatures: 8,
      layerIndex,
    })),
  );
  const tasks = ['road', 'plan'].map((id) => ({ id, dependsOn: [] }));

  test('may be given by the ends of names, for each task; the others share what is left', () => {
    const { layers } = partitionRanks(linears, tasks, {
      rank: 4,
      targets: { road: ['q_proj'] },
      alpha: { road: 3 },
    });
    expect(Object.values(layers).map(({ spans }) => Object.keys(spans))).toEqual([
      ['road', 'plan'],
      ['plan'],
      ['road', 'plan'],
      ['plan'],
    ]);
  });

  test('must exist, and must be somewhere', () => {
    const make = (over: object) => () => partitionRanks(linears, tasks, { rank: 4, ...over });
    expect(make({ targets: { road: ['k_proj'] } })).toThrow(
      'no linear is called "k_proj"; the model has q_proj, v_proj',
    );
    // The end of a name, not any end of its letters.
    expect(make({ targets: { road: ['proj'] } })).toThrow('no linear is called "proj"');
    expect(make({ only: { road: { from: 2, to: 4 } } })).toThrow('task "road" has no rank in any linear');
    expect(make({ alpha: { raod: 1 } })).toThrow('"alpha" names task "raod"');
    expect(make({ alpha: { road: -1 } })).toThrow('alpha must be a number above 0, got -1');
  });

  const widths = (options: { rank: number; allocate: Allocate }) =>
    Object.values(partitionRanks(linears, tasks, options).layers).map(({ spans }) =>
      Object.values(spans).map(({ start, end }) => end - start),
    );

  test('may have the same ranks everywhere, or ranks in proportion to its rows', () => {
    expect(widths({ rank: 5, allocate: allocateFixed({ road: 2, plan: 3 }) })[0]).toEqual([2, 3]);
    expect(widths({ rank: 10, allocate: allocateByData({ road: 300, plan: 100 }) })[0]).toEqual([7, 3]);
    expect(widths({ rank: 10, allocate: allocateByData({}) })[0]).toEqual([5, 5]);
  });

  test('ranks by importance follow what matters within each task, whatever the size of its numbers', () => {
    const names = linears.map(({ name }) => name);
    const [first = '', ...others] = names;
    const even = Object.fromEntries(names.map((name) => [name, 1]));
    const steep = { ...Object.fromEntries(others.map((name) => [name, 0])), [first]: 1e6 };
    const found = widths({ rank: 10, allocate: allocateByImportance({ road: even, plan: steep }) });
    expect(found[0]?.[1]).toBeGreaterThan(5);
    expect(found.slice(1).every(([road, plan]) => road === 9 && plan === 1)).toBe(true);
    const larger = Object.fromEntries(names.map((name) => [name, 1e6]));
    expect(widths({ rank: 10, allocate: allocateByImportance({ road: larger, plan: steep }) })).toEqual(
      found,
    );
    expect(widths({ rank: 10, allocate: allocateByImportance({}) })[0]).toEqual([5, 5]);
  });
});
