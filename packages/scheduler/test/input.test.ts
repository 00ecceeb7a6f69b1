import { describe, expect, test } from '@jest/globals';
import {
  checkInput,
  type Cluster,
  type InputProblem,
  plan,
  SchedulerError,
  type Workload,
} from '@contextlora/scheduler';
import { describePlan } from '@contextlora/scheduler/views';
import { cluster, device, equalLayers, layer, task } from './problems.js';

const problemsOf = (run: () => unknown): readonly InputProblem[] => {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(SchedulerError);
    return (error as SchedulerError).problems;
  }
  return [];
};
const pathsOf = (workloads: unknown, on: unknown) =>
  problemsOf(() => {
    checkInput(workloads, on);
  }).map(({ path }) => path);

const sound = () => ({
  workloads: [
    task(equalLayers(2, 1, 2), 4, { name: 'a' }),
    task(equalLayers(2, 1, 2), 4, { name: 'b', dependsOn: ['a'] }),
  ] satisfies Workload[],
  on: cluster(2) satisfies Cluster,
});
/** The sound input with values set at paths such as `workloads[0].layers[1].name`, as the problems name them. */
const changed = (...changes: readonly (readonly [path: string, value: unknown])[]) => {
  const { workloads, on } = structuredClone(sound());
  const roots: Record<string, unknown> = { workloads, ...on };
  for (const [path, value] of changes) {
    const keys = path.split(/[.[\]]+/).filter((key) => key !== '');
    let at = roots;
    for (const key of keys.slice(0, -1)) at = at[key] as Record<string, unknown>;
    at[keys.at(-1)!] = value;
  }
  const { workloads: changedWorkloads, ...changedCluster } = roots;
  return pathsOf(changedWorkloads, changedCluster);
};

test('sound input passes', () => {
  expect(pathsOf(sound().workloads, sound().on)).toEqual([]);
  expect(() => plan(sound().workloads, sound().on)).not.toThrow();
});

test('all problems are listed at once, each with its path', () => {
  const paths = changed(
    ['workloads[0].samples', 0],
    ['workloads[0].layers[1].forwardFlops', -1],
    ['workloads[1].layers[0].outputBytes', NaN],
    ['devices[0].flopsPerSecond', -5],
    ['devices[1].memoryBytes', Infinity],
    ['devices[1].watts', '10'],
    ['links[0].bytesPerSecond', 0],
    ['links[1]', { from: 'd0', to: 'nowhere', bytesPerSecond: 1, latencySeconds: -1 }],
  );
  expect(paths.sort()).toEqual(
    [
      'workloads[0].samples',
      'workloads[0].layers[1].forwardFlops',
      'workloads[1].layers[0].outputBytes',
      'devices[0].flopsPerSecond',
      'devices[1].memoryBytes',
      'devices[1].watts',
      'links[0].bytesPerSecond',
      'links[1].to',
      'links[1].latencySeconds',
    ].sort(),
  );
});

test('the error’s text names where it was found and lists every problem', () => {
  expect(() => {
    checkInput([], { devices: [], links: [] }, 'here');
  }).toThrow(/scheduler\/here: 2 problems\n.*workloads: .*\n.*devices: /);
  expect(() => plan([], cluster(1))).toThrow(/scheduler\/plan: one problem/);
});

describe('a number', () => {
  const fields = [
    'forwardFlops',
    'inputFlops',
    'weightFlops',
    'parameterBytes',
    'gradientBytes',
    'optimizerBytes',
    'activationBytes',
    'outputBytes',
  ];
  test.each([-1, NaN, Infinity, -Infinity, '1', null, undefined, {}, []])(
    'of a layer may not be %p',
    (value) => {
      for (const field of fields)
        expect(changed([`workloads[0].layers[1].${field}`, value])).toEqual([
          `workloads[0].layers[1].${field}`,
        ]);
    },
  );

  test.each([0, -1, NaN, Infinity, '1', null, undefined])('of a rate or a memory may not be %p', (value) => {
    for (const field of ['flopsPerSecond', 'memoryBytes'])
      expect(changed([`devices[1].${field}`, value])).toEqual([`devices[1].${field}`]);
    expect(changed(['links[0].bytesPerSecond', value])).toEqual(['links[0].bytesPerSecond']);
    for (const kind of ['forward', 'input', 'weight'])
      expect(
        changed(['devices[0].flopsPerSecond', { forward: 1, input: 1, weight: 1, [kind]: value }]),
      ).toEqual([`devices[0].flopsPerSecond.${kind}`]);
  });

  test.each([-1, NaN, Infinity, '1', null])('that may be left out may not be %p', (value) => {
    for (const field of ['overheadSeconds', 'watts', 'idleWatts', 'storageBytes', 'storageBytesPerSecond'])
      expect(changed([`devices[0].${field}`, value])).toEqual([`devices[0].${field}`]);
  });

  test.each([1, 1.5, -0.1, NaN, '0'])('of a loss may not be %p', (value) => {
    expect(changed(['links[0].loss', value])).toEqual(['links[0].loss']);
  });

  test.each([0, 1.5, -1, NaN, Infinity, 1e7, '4', null])('of samples may not be %p', (value) => {
    expect(changed(['workloads[0].samples', value])).toEqual(['workloads[0].samples']);
  });

  test.each([0, 0.5, NaN, Infinity, '1'])('of steps or epochs may not be %p', (value) => {
    for (const field of ['steps', 'epochs'])
      expect(changed([`workloads[1].${field}`, value])).toEqual([`workloads[1].${field}`]);
  });
});

describe('a name', () => {
  test('may not come twice, be empty or be no text', () => {
    expect(changed(['workloads[1].name', 'a'], ['workloads[1].dependsOn', []])).toEqual([
      'workloads[1].name',
    ]);
    expect(changed(['devices[1].id', 'd0'])).toEqual(['devices[1].id']);
    for (const value of ['', 7, null, undefined, {}]) {
      expect(changed(['workloads[1].name', value])).toEqual(['workloads[1].name']);
      expect(changed(['devices[1].id', value])).toEqual(['devices[1].id']);
    }
    expect(changed(['devices[1].id', '*'])).toEqual(['devices[1].id']);
  });

  test('of a link’s end must be a device’s, and not the same twice', () => {
    const link = (from: unknown, to: unknown) =>
      changed(['links[1]', { from, to, bytesPerSecond: 1, latencySeconds: 0 }]);
    expect(link('d0', 'd1')).toEqual([]);
    expect(link('*', 'd1')).toEqual([]);
    expect(link('d0', 'd9')).toEqual(['links[1].to']);
    expect(link('d9', 'd0')).toEqual(['links[1].from']);
    expect(link(3, 'd0')).toEqual(['links[1].from']);
    expect(link('d0', 'd0')).toEqual(['links[1]']);
    expect(changed(['links[0].medium', 7])).toEqual(['links[0].medium']);
  });

  test('that a task waits for must be another task’s', () => {
    expect(changed(['workloads[1].dependsOn', ['a', 'c', 'd']])).toEqual([
      'workloads[1].dependsOn',
      'workloads[1].dependsOn',
    ]);
    expect(changed(['workloads[1].dependsOn', 'a'])).toEqual(['workloads[1].dependsOn']);
    expect(changed(['workloads[1].dependsOn', [3]])).toEqual(['workloads[1].dependsOn']);
  });

  test.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf'])(
    'may be %s, for a task and a device',
    (name) => {
      const on = cluster([device(name, { watts: 1 }), device('d1')]);
      const workloads = [
        task([layer({ inputFlops: 0, outputBytes: 1 }), layer({ inputFlops: 0, weightFlops: 1 })], 4, {
          name,
          steps: 4,
          epochs: 2,
        }),
        task(equalLayers(2, 1, 2), 4, { name: 'b', dependsOn: [name] }),
      ];
      const found = plan(workloads, on);
      const plain = plan(
        [
          { ...workloads[0]!, name: 'x' },
          { ...workloads[1]!, dependsOn: ['x'] },
        ],
        cluster([device('y', { watts: 1 }), device('d1')]),
      );
      expect(found.totalSeconds).toBe(plain.totalSeconds);
      expect(found.totalJoules).toBe(plain.totalJoules);
      expect(JSON.stringify(found).replaceAll(name, '#')).toBe(
        JSON.stringify(plain)
          .replaceAll(/"x"/g, '"#"')
          .replaceAll(/"y"/g, '"#"')
          .replaceAll(/\by\b/g, '#')
          .replaceAll(/\bx\b/g, '#'),
      );
      expect(describePlan(found, on)).toContain(name);
      // Without a cache, too.
      const alone = { ...workloads[1]!, dependsOn: [] };
      expect(plan([{ ...alone, name }], on).totalSeconds).toBe(plan([alone], on).totalSeconds);
      expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    },
  );
});

describe('a name that is not known', () => {
  test('is refused with its path and the nearest name there is', () => {
    expect(
      changed(
        ['workloads[0].step', 3],
        ['workloads[0].layers[1].forwardflops', 3],
        ['devices[0].memory', 3],
        ['devices[1].modes', [{ name: 'm', flopsPerSecond: 1, watt: 3 }]],
        ['devices[1].flopsPerSecond', { forward: 1, input: 1, weight: 1, backward: 1 }],
        ['links[0].bandwidth', 3],
        ['residents', []],
      ).sort(),
    ).toEqual([
      'devices[0].memory',
      'devices[1].flopsPerSecond.backward',
      'devices[1].modes[0].watt',
      'links[0].bandwidth',
      'residents',
      'workloads[0].layers[1].forwardflops',
      'workloads[0].step',
    ]);
    expect(() => {
      checkInput([{ ...sound().workloads[0], step: 3, colour: 'red' }], sound().on);
    }).toThrow(
      /step: is unknown; did you mean "steps"\?\n.*colour: is unknown; workloads\[0\] has name, samples/,
    );
  });

  test('is no device that holds the base, and no keeper', () => {
    expect(changed(['resident', ['d0', 'd9']], ['keeper', 'd8'])).toEqual(['resident[1]', 'keeper']);
    expect(changed(['resident', 'd0'], ['keeper', 3])).toEqual(['resident', 'keeper']);
    expect(changed(['resident', ['d1']], ['keeper', 'd0'])).toEqual([]);
  });
});

test('samples of validation and prompts are whole numbers, and a relay is true or false', () => {
  for (const value of [-1, 0.5, '4', null])
    for (const field of ['validationSamples', 'promptSamples'])
      expect(changed([`workloads[1].${field}`, value])).toEqual([`workloads[1].${field}`]);
  expect(changed(['workloads[1].promptSamples', 0], ['links[0].relayed', true])).toEqual([]);
  expect(changed(['links[0].relayed', 'yes'])).toEqual(['links[0].relayed']);
});

test('rates by samples rise in samples and are numbers above 0', () => {
  const points = (...all: readonly (readonly [unknown, unknown])[]) =>
    all.map(([samples, flopsPerSecond]) => ({ samples, flopsPerSecond }));
  const rate = (value: unknown) => changed(['devices[0].flopsPerSecond', value]);
  expect(rate(points([1, 2], [8, 5]))).toEqual([]);
  expect(rate({ forward: points([1, 2], [8, 5]), input: 1, weight: points([4, 1]) })).toEqual([]);
  expect(rate([])).toEqual(['devices[0].flopsPerSecond']);
  expect(rate(points([8, 2], [8, 5]))).toEqual(['devices[0].flopsPerSecond[1].samples']);
  expect(rate({ forward: points([0, 2]), input: 1, weight: points([4, '1']) })).toContain(
    'devices[0].flopsPerSecond.weight[0].flopsPerSecond',
  );
});

describe('a value of the wrong type', () => {
  test.each([undefined, null, 7, 'text', true, {}])('is reported where a list belongs: %p', (value) => {
    expect(pathsOf(value, sound().on)).toEqual(['workloads']);
    expect(changed(['workloads[0].layers', value])).toEqual(['workloads[0].layers']);
    expect(changed(['devices', value])).toContain('devices');
    expect(changed(['links', value])).toEqual(['links']);
  });

  test.each([undefined, null, 7, 'text', []])('is reported where an object belongs: %p', (value) => {
    expect(pathsOf(sound().workloads, value)).toEqual(['cluster']);
    expect(changed(['workloads[0]', value])).toEqual(['workloads[0]']);
    expect(changed(['workloads[0].layers[0]', value])).toEqual(['workloads[0].layers[0]']);
    expect(changed(['links[0]', value])).toEqual(['links[0]']);
  });

  test('is reported even where it cannot be written as JSON', () => {
    const circular: Record<string, unknown> = {};
    circular['self'] = circular;
    for (const value of [() => 1, Symbol('s'), 10n, circular])
      expect(pathsOf([{ ...sound().workloads[0]!, samples: value }], sound().on)).toEqual([
        'workloads[0].samples',
      ]);
  });
});

describe('as a whole', () => {
  test('empty lists of tasks, layers and devices are refused', () => {
    expect(pathsOf([], cluster(1))).toEqual(['workloads']);
    expect(changed(['workloads[0].layers', []])).toEqual(['workloads[0].layers']);
    expect(changed(['devices', []])).toEqual(['devices']);
    expect(changed(['links', []])).toEqual([]);
  });

  test('tasks that wait for each other in a circle are shown as one', () => {
    const circle = ['a', 'b', 'c'].map((name, i) =>
      task(equalLayers(1, 1, 1), 1, { name, dependsOn: [['b', 'c', 'a'][i]!] }),
    );
    const [problem] = problemsOf(() => {
      checkInput(circle, cluster(1));
    });
    expect(problem).toMatchObject({ path: 'workloads', message: expect.stringContaining('a → b → c → a') });
    expect(pathsOf([task(equalLayers(1, 1, 1), 1, { name: 'a', dependsOn: ['a'] })], cluster(1))).toEqual([
      'workloads',
    ]);
  });

  test('tasks of different numbers of layers do not share a model', () => {
    expect(changed(['workloads[1].layers', equalLayers(3, 1, 2)])).toEqual(['workloads[1].layers']);
  });

  test('a layer above the lowest trained one must pass the gradient on', () => {
    expect(changed(['workloads[0].layers[1].inputFlops', 0])).toEqual(['workloads[0].layers[1].inputFlops']);
    // Below it none is owed; and a layer that does nothing owes nothing.
    expect(
      pathsOf([task([layer({ inputFlops: 0 }), layer({ inputFlops: 0, weightFlops: 1 })], 1)], cluster(1)),
    ).toEqual([]);
    expect(
      pathsOf(
        [task([layer({ inputFlops: 0, weightFlops: 1 }), layer({ forwardFlops: 0, inputFlops: 0 })], 1)],
        cluster(1),
      ),
    ).toEqual([]);
  });

  test('more than can be planned for is refused, not tried', () => {
    const many = <T>(count: number, one: T) => new Array<T>(count).fill(one);
    expect(pathsOf([task(many(10_001, layer()), 1)], cluster(1))).toEqual(['workloads[0].layers']);
    expect(pathsOf(many(1001, task([layer()], 1)), cluster(1))).toEqual(['workloads']);
    expect(
      pathsOf([task(equalLayers(1, 1, 1), 1)], { devices: many(10_001, device('d')), links: [] }),
    ).toContain('devices');
    expect(pathsOf([task(equalLayers(1, 1, 1), 1)], { ...cluster(1), links: new Array(1_000_001) })).toEqual([
      'links',
    ]);
  });

  test('a long chain of tasks is planned, not a stack overflow', () => {
    const tasks = Array.from({ length: 1000 }, (_, i) =>
      task(equalLayers(1, 1, 1), 1, { name: `t${i}`, dependsOn: i > 0 ? [`t${i - 1}`] : [] }),
    );
    expect(pathsOf([...tasks].reverse(), cluster(1))).toEqual([]);
    expect(plan([...tasks].reverse(), cluster(1), { peers: [] }).jobs).toHaveLength(1000);
  });
});

describe('a model that does not fit', () => {
  const big = (bytes: number, count = 2) =>
    task(
      equalLayers(count, 1, 2).map((one) => ({ ...one, parameterBytes: bytes, activationBytes: 0 })),
      2,
    );

  test('for one layer says by how many bytes, on which device, and what would help', () => {
    const on = cluster([device('d0', { memoryBytes: 3e6 }), device('d1', { memoryBytes: 1e6 })]);
    const [problem, ...rest] = problemsOf(() => plan([big(5e6)], on));
    expect(rest).toEqual([]);
    expect(problem!.path).toBe('workloads[0].layers[0]');
    expect(problem!.message).toMatch(
      /needs 5 MB .* 2 MB more than the largest device, "d0", .*give a device at least 5 MB/,
    );
  });

  test('on all devices together says how much is missing', () => {
    const on = cluster([device('d0', { memoryBytes: 3e6 }), device('d1', { memoryBytes: 3e6 })]);
    const [problem] = problemsOf(() => plan([big(2e6, 4)], on));
    expect(problem!.message).toMatch(
      /needs 8 MB .* 2 MB more than all 2 devices have together; add a device/,
    );
  });

  test('only because of the reserve is refused with the reserve', () => {
    const on = cluster([device('d0', { memoryBytes: 4.1e6 })]);
    expect(() => plan([big(2e6)], on)).not.toThrow();
    expect(problemsOf(() => plan([big(2e6)], on, { memoryReserve: 0.1 }))).not.toEqual([]);
  });

  test('because whole layers do not fill the devices is refused as an input error too', () => {
    // Three layers of 2 MB, two devices of 3 MB: enough together, but each holds one layer only.
    const on = cluster([device('d0', { memoryBytes: 3e6 }), device('d1', { memoryBytes: 3e6 })]);
    expect(problemsOf(() => plan([big(2e6, 3)], on, { peers: [] }))).not.toEqual([]);
  });

  test('because no link joins the devices is refused as an input error too', () => {
    const on = {
      devices: [device('d0', { memoryBytes: 3e6 }), device('d1', { memoryBytes: 3e6 })],
      links: [],
    };
    expect(problemsOf(() => plan([big(2e6)], on))).not.toEqual([]);
  });

  test('where every activation of a micro-batch is too much is refused as an input error too', () => {
    const one = task([layer({ inputFlops: 0, weightFlops: 1, activationBytes: 1e6 })], 8);
    expect(
      problemsOf(() =>
        plan([one], cluster([device('d0', { memoryBytes: 3e6 })]), { microbatches: [1], peers: [] }),
      ),
    ).not.toEqual([]);
  });
});

describe('devices that no link joins', () => {
  test('are planned on the better one alone, and the other is called unreachable', () => {
    const on = { devices: [device('d0'), device('d1', { flopsPerSecond: 3 })], links: [] };
    const layers = equalLayers(2, 1, 2).map((one) => ({ ...one, gradientBytes: 1 }));
    const found = plan([task(layers, 4)], on);
    expect(found.totalSeconds).toBe(8);
    expect(found.explanation.unused).toEqual([{ device: 'd0', reason: 'unreachable' }]);
  });

  test('do not make a plan take for ever, whatever is minimised', () => {
    // d0 is frugal for the first task and d1 for the second; nothing can be moved between them.
    const frugal = (forward: number, weight: number) => ({ forward, input: 1, weight });
    const on = {
      devices: [
        device('d0', { flopsPerSecond: frugal(10, 1), watts: 1 }),
        device('d1', { flopsPerSecond: frugal(1, 10), watts: 1 }),
      ],
      links: [],
    };
    const workloads = [
      task([layer({ inputFlops: 0, forwardFlops: 10, weightFlops: 0.1 })], 1, { name: 'a' }),
      task([layer({ inputFlops: 0, forwardFlops: 0.1, weightFlops: 10 })], 1, {
        name: 'b',
        dependsOn: ['a'],
      }),
    ];
    for (const objective of ['time', 'energy', { secondsWeight: 0, joulesWeight: 1 }] as const) {
      const found = plan(workloads, on, { objective });
      expect(Number.isFinite(found.totalSeconds)).toBe(true);
    }
  });
});

describe('options', () => {
  const run = (options: object) => () => plan([task(equalLayers(2, 1, 2), 4)], cluster(2), options);

  test.each([
    { microbatches: [] },
    { microbatches: [0] },
    { microbatches: [-2] },
    { microbatches: [1.5] },
    { microbatches: [NaN] },
    { window: 0 },
    { window: NaN },
    { groupLimit: 0 },
    { memoryReserve: 1 },
    { memoryReserve: -1 },
    { memoryReserve: NaN },
    { objective: 'speed' },
    { objective: { secondsWeight: -1, joulesWeight: 0 } },
  ])('that make no sense are refused as an input error: %j', (options) => {
    expect(run(options)).toThrow(SchedulerError);
  });

  const paths = (options: unknown) => problemsOf(run(options as object)).map(({ path }) => path);

  test('that are unknown or impossible are refused, each with its path', () => {
    expect(
      paths({ microBatches: [1], budget: NaN, exactDevices: 40, microbatches: [2, 64], cache: 'no' }).sort(),
    ).toEqual([
      'options.budget',
      'options.cache',
      'options.exactDevices',
      'options.microBatches',
      'options.microbatches[1]',
    ]);
    expect(paths(null)).toEqual(['options']);
    expect(paths([])).toEqual(['options']);
    expect(paths({ window: undefined })).toEqual([]);
    expect(run({ microBatches: [1] })).toThrow(/options\.microBatches: .*did you mean "microbatches"\?/);
    expect(run({ objective: { secondsWeight: 1, jouleWeight: 1 } })).toThrow(/did you mean "joulesWeight"/);
  });

  test('need a number of micro-batches that is possible for every task', () => {
    const workloads = [2, 8].map((samples) => task(equalLayers(2, 1, 2), samples, { name: `t${samples}` }));
    const planned = (microbatches: readonly number[]) =>
      problemsOf(() => plan(workloads, cluster(2), { microbatches, peers: [] })).map(({ path }) => path);
    expect(planned([2, 8])).toEqual([]);
    expect(planned([4, 8])).toEqual(['options.microbatches']);
  });
});
