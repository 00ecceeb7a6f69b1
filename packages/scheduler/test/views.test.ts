import { describe, expect, test } from '@jest/globals';
import {
  buildSchedule,
  type BuildScheduleOptions,
  type Cluster,
  gpipe,
  openCostModel,
  type Placement,
  type Plan,
  type Schedule,
  simulateWith,
  type Span,
  type Timeline,
  type Workload,
} from '@contextlora/scheduler';
import {
  describePlan,
  drawGanttSvg,
  drawGanttText,
  runChart,
  stepChart,
  type TraceEvent,
  traceEvents,
  traceRun,
} from '@contextlora/scheduler/views';
import fc from 'fast-check';

import { interval, smallCluster, smallRun, stage } from './small-run.js';

const hostile = 'a<b> & "c"\u0007';

const workload = (name: string, samples: number, trains: readonly boolean[]): Workload => ({
  name,
  samples,
  layers: trains.map((weight, index) => ({
    name: `layer ${index}`,
    forwardFlops: 1,
    inputFlops: trains.indexOf(true) < index ? 1 : 0,
    weightFlops: weight ? 1 : 0,
    parameterBytes: 1,
    gradientBytes: weight ? 1 : 0,
    optimizerBytes: 0,
    activationBytes: 1,
    outputBytes: 1,
  })),
});

const clusterOf = (ids: readonly string[], more: object = {}, medium?: string): Cluster => ({
  devices: ids.map((id) => ({ id, flopsPerSecond: 1, memoryBytes: 1e9, ...more })),
  links: [
    { from: '*', to: '*', bytesPerSecond: 1, latencySeconds: 0, ...(medium === undefined ? {} : { medium }) },
  ],
});

function play(
  workloads: readonly Workload[],
  cluster: Cluster,
  placements: readonly Placement[],
  options: BuildScheduleOptions = {},
): [Timeline, Schedule] {
  const costs = openCostModel(workloads, cluster);
  const schedule = buildSchedule(costs, placements, options);
  return [simulateWith(costs, schedule), schedule];
}

const alone = (start: number, end: number, device: string) => ({
  start,
  end,
  members: [{ device, share: 1 }],
});

/** Two stages, two micro-batches; a second of everything. */
const small = () =>
  play(
    [workload('t', 2, [true, true])],
    clusterOf(['d0', 'd1']),
    [{ tasks: ['t'], microbatches: 2, stages: [alone(0, 1, 'd0'), alone(1, 2, 'd1')] }],
    { policy: gpipe },
  );

/** A frozen first stage, a group, sibling tasks, a shared medium, two steps and names that need escaping. */
const rich = () =>
  play(
    [
      workload(hostile, 8, [false, false, true, true, true]),
      workload('t', 8, [false, false, false, true, true]),
    ],
    clusterOf([hostile, 'd1', 'd2', 'd3'], { overheadSeconds: 0.13, storageBytesPerSecond: 3 }, 'air'),
    [
      {
        tasks: [hostile, 't'],
        microbatches: 4,
        stages: [
          alone(0, 2, hostile),
          {
            start: 2,
            end: 4,
            members: [
              { device: 'd1', share: 0.5 },
              { device: 'd2', share: 0.5 },
            ],
          },
          alone(4, 5, 'd3'),
        ],
      },
    ],
    { steps: 2, cache: { t: 'write' } },
  );

const causes = ['activation', 'gradient', 'backpressure', 'collective', 'finished', 'lost'] as const;
const workTypes = [
  'load',
  'forward',
  'backwardInput',
  'backwardWeight',
  'cacheWrite',
  'cacheRead',
  'update',
] as const;
const transferTypes = ['sendActivation', 'sendGradient', 'collective'] as const;

/** A second of every type and cause on one device, and of a forward pass on a frozen one. */
function everything(): [Timeline, Schedule] {
  const of = { task: 't', step: 0, microbatch: 0 };
  const work: Partial<Span>[] = [
    ...workTypes.map((type) => ({ type, ...of })),
    ...causes.slice(0, 4).map((cause) => ({ type: 'waiting' as const, cause })),
  ];
  const place = (device: string) => (span: Partial<Span>, index: number) =>
    ({ device, startSeconds: index, endSeconds: index + 1, ...span }) as Span;
  const spans = [
    ...work.map(place('d1')),
    ...transferTypes.map((type) => ({ type, ...of, peer: 'd0' })).map(place('d1')),
    place('d0')({ type: 'forward', ...of }, 0),
  ];
  const makespanSeconds = work.length + 2;
  const use = (device: string, busySeconds: number, finished: number) => ({
    device,
    busySeconds,
    idleSeconds: { activation: 1, gradient: 1, backpressure: 1, collective: 1, finished, lost: 1 },
    idleFraction: 1 - busySeconds / makespanSeconds,
    peakMemoryBytes: 1,
    sentBytes: 1,
  });
  const stages = [alone(0, 1, 'd0'), alone(1, 2, 'd1')];
  return [
    {
      makespanSeconds,
      stepEndSeconds: [[makespanSeconds]],
      devices: [use('d0', 1, makespanSeconds - 2), use('d1', workTypes.length, 1)],
      links: [],
      bytes: 1,
      unfinished: 0,
      spans,
    },
    {
      policy: 'p',
      fusedBackward: false,
      placements: [{ tasks: ['t'], microbatches: 1, stages }],
      steps: 1,
      window: 2,
      programs: [
        { device: 'd0', placement: 0, stage: 0, instructions: [{ type: 'forward', ...of, samples: 1 }] },
        {
          device: 'd1',
          placement: 0,
          stage: 1,
          instructions: [{ type: 'backwardInput', ...of, samples: 1 }],
        },
      ],
    },
  ];
}

/** Forty devices with thousands of spans each. */
function buildCrowded(): [Timeline, Schedule] {
  const ids = Array.from({ length: 40 }, (_, index) => `device-${index}`);
  const each = 4000;
  const spans = ids.flatMap((device) =>
    Array.from({ length: each }, (_, index): Span => {
      const time = { device, startSeconds: index, endSeconds: index + 1 };
      return index % 4 === 3
        ? { ...time, type: 'waiting', cause: 'activation' }
        : {
            ...time,
            type: index % 4 === 0 ? 'forward' : 'backwardInput',
            task: 't',
            step: 0,
            microbatch: index,
          };
    }),
  );
  const idleSeconds = {
    activation: each / 4,
    gradient: 0,
    backpressure: 0,
    collective: 0,
    finished: 0,
    lost: 0,
  };
  return [
    {
      makespanSeconds: each,
      stepEndSeconds: [[each]],
      devices: ids.map((device) => ({
        device,
        busySeconds: (each * 3) / 4,
        idleSeconds,
        idleFraction: 0.25,
        peakMemoryBytes: 1,
        sentBytes: 0,
      })),
      links: [],
      bytes: 0,
      unfinished: 0,
      spans,
    },
    {
      policy: 'p',
      fusedBackward: false,
      placements: [
        { tasks: ['t'], microbatches: each, stages: ids.map((id, index) => alone(index, index + 1, id)) },
      ],
      steps: 1,
      window: 2,
      programs: ids.map((device, stage) => ({ device, placement: 0, stage, instructions: [] })),
    },
  ];
}

const crowded = buildCrowded();
const crowdedSvg = drawGanttSvg(stepChart(...crowded));

/** The names of an SVG's elements; fails where a tag is not closed or text is not escaped. */
function elementsOf(svg: string): string[] {
  const names: string[] = [];
  const open: string[] = [];
  const tag = /<(\/?)([a-z]+)((?:\s+[\w:-]+="[^"<&]*(?:&(?:amp|lt|gt|quot|apos);[^"<&]*)*")*)\s*(\/?)>/y;
  let at = 0;
  while (at < svg.length) {
    const next = svg.indexOf('<', at);
    const text = svg.slice(at, next < 0 ? svg.length : next);
    expect(text.replaceAll(/&(?:amp|lt|gt|quot|apos);/g, '')).not.toMatch(/[&>]/);
    if (next < 0) break;
    tag.lastIndex = next;
    const [whole, closes, name = '', , empty] = tag.exec(svg) ?? [];
    if (whole === undefined) throw new Error(`no tag at ${svg.slice(next, next + 80)}`);
    if (closes) expect(open.pop()).toBe(name);
    else names.push(name);
    if (!closes && !empty) open.push(name);
    at = next + whole.length;
  }
  expect(open).toEqual([]);
  return names;
}

describe('trace events', () => {
  const spansIn = (events: readonly TraceEvent[]) =>
    events.flatMap((event) => (event.ph === 'X' ? [event] : []));

  test('of a small pipeline tell what ran where, when and for what', () => {
    const { traceEvents: events, displayTimeUnit } = traceEvents(...small());
    expect(displayTimeUnit).toBe('ms');
    expect(events.filter(({ ph, name }) => ph === 'M' && name === 'process_name')).toMatchObject([
      { pid: 1, args: { name: 'pipeline 0, stage 0: d0 (layer 0)' } },
      { pid: 2, args: { name: 'pipeline 0, stage 1: d1 (layer 1)' } },
    ]);
    const d1 = spansIn(events).filter(({ pid, cat }) => pid === 2 && cat.startsWith('compute'));
    expect(d1.map(({ name, ts, dur }) => [name, ts, dur])).toEqual([
      ['forward t 0', 2e6, 1e6],
      ['forward t 1', 3e6, 1e6],
      ['backward input t 0', 4e6, 1e6],
      ['backward weight t 0', 5e6, 1e6],
      ['backward input t 1', 6e6, 1e6],
      ['backward weight t 1', 7e6, 1e6],
    ]);
    expect(d1[0]).toMatchObject({ cat: 'compute,forward', args: { task: 't', step: 0, microbatch: 0 } });
    expect(spansIn(events).find(({ name }) => name === 'send gradient t 1')).toMatchObject({
      ts: 8e6,
      args: { bytes: 1, peer: 'd0' },
    });
    expect(spansIn(events).find(({ name }) => name === 'waiting: activation')).toMatchObject({
      pid: 2,
      ts: 0,
      dur: 2e6,
    });
  });

  test('are sorted, finite, and never overlap on a thread', () => {
    for (const [timeline, schedule] of [small(), rich(), everything()]) {
      const { traceEvents: events } = traceEvents(timeline, schedule);
      expect(JSON.parse(JSON.stringify(events))).toEqual(events);
      expect(events.map(({ ts }) => ts)).toEqual(events.map(({ ts }) => ts).sort((a, b) => a - b));
      const ends = new Map<number, number>();
      for (const { tid, ts, dur } of spansIn(events)) {
        expect(dur).toBeGreaterThanOrEqual(0);
        // Nanoseconds are what Perfetto counts in.
        expect(Number.isInteger(ts * 1000) && Number.isInteger(dur * 1000)).toBe(true);
        expect(ts).toBeGreaterThanOrEqual(ends.get(tid) ?? 0);
        ends.set(tid, ts + dur);
      }
    }
  });

  test('of a thread all belong to one process, and each process and thread has a name', () => {
    const { traceEvents: events } = traceEvents(...rich());
    const processOf = new Map<number, number>();
    for (const { tid, pid } of events)
      expect(processOf.set(tid, processOf.get(tid) ?? pid).get(tid)).toBe(pid);
    for (const pid of processOf.values()) expect(processOf.has(pid)).toBe(false);
    const named = new Set(events.filter(({ name }) => name === 'thread_name').map(({ tid }) => tid));
    expect([...processOf.keys()].every((tid) => named.has(tid))).toBe(true);
  });

  test('of compute last as long as the device was busy', () => {
    for (const [timeline, schedule] of [small(), rich()]) {
      const { traceEvents: events } = traceEvents(timeline, schedule);
      for (const [index, { busySeconds, idleSeconds }] of timeline.devices.entries()) {
        const total = (category: string) =>
          spansIn(events)
            .filter(({ pid, cat }) => pid === index + 1 && cat.startsWith(category))
            .reduce((sum, { dur }) => sum + dur / 1e6, 0);
        expect(total('compute')).toBeCloseTo(busySeconds, 5);
        expect(total('waiting')).toBeCloseTo(
          Object.values(idleSeconds).reduce((a, b) => a + b, 0),
          5,
        );
      }
    }
  });

  test('draw an arrow from each message to the work it allows', () => {
    const { traceEvents: events } = traceEvents(...small());
    const flows = events.flatMap((event) => (event.ph === 's' || event.ph === 'f' ? [event] : []));
    const ends = flows.filter(({ ph }) => ph === 'f');
    expect(flows).toHaveLength(8);
    for (const end of ends) {
      const start = flows.find(({ ph, id }) => ph === 's' && id === end.id);
      expect(start).toMatchObject({ name: end.name, cat: end.cat });
      expect(end.bp).toBe('e');
      // A viewer binds an arrow to the span that it has read already and that has not ended.
      for (const event of [start!, end]) {
        const from = spansIn(events).find(({ tid, ts }) => tid === event.tid && ts === event.ts);
        expect(events.indexOf(from!)).toBeLessThan(events.indexOf(event));
      }
    }
    expect(ends.map(({ name, pid, ts }) => [name, pid, ts])).toEqual([
      ['activation', 2, 2e6],
      ['activation', 2, 3e6],
      ['gradient', 1, 7e6],
      ['gradient', 1, 9e6],
    ]);
  });
});

describe('the chart for the terminal', () => {
  test('of a small pipeline is exactly this', () => {
    expect(drawGanttText(stepChart(...small()), { columns: 77 })).toBe(
      [
        'GPipe: 2 devices, 1 step, makespan 10 s, idle 50%, 4 B sent',
        'stage  device |0 s                |5 s                 busy idle cause',
        '    0  d0     00001111~~~~················AAAA····BBBB  40%  60% gradient',
        '    1  d1     ········00001111aaaaAAAAbbbbBBBB~~~~····  60%  40% activation',
        '0–9 forward  a–j backward  A–J weight gradient  ~ only sending  · idle',
        '',
      ].join('\n'),
    );
  });

  test('fits its columns, whatever the names', () => {
    const [timeline, schedule] = rich();
    const long = '設備'.repeat(40) + hostile;
    const renamed = JSON.parse(
      JSON.stringify([timeline, schedule]).replaceAll('"d1"', JSON.stringify(long)),
    ) as [Timeline, Schedule];
    for (const columns of [50, 61, 100, 200])
      for (const line of drawGanttText(stepChart(...renamed), { columns }).split('\n'))
        expect(line.length + line.replaceAll(/[^設備]/g, '').length).toBeLessThanOrEqual(columns);
  });

  test('shows work as often as the device was busy, even in bursts shorter than a slot', () => {
    const text = drawGanttText(stepChart(...crowded), { columns: 120 });
    const bar = text
      .split('\n')
      .find((line) => line.includes('device-7 '))!
      .slice(17, -24)
      .trim();
    expect(bar.replaceAll('·', '').length / bar.length).toBeCloseTo(0.75, 1);
  });

  test('marks frozen stages, distinguishes siblings and lets no control character through', () => {
    const text = drawGanttText(stepChart(...rich()));
    expect(text).toContain('0* a<b> & "c"?');
    expect(text).toContain('a<b> & "c"?: 0–3  t: 4–7');
    expect(text).toContain('* no backward pass');
    // eslint-disable-next-line no-control-regex
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
  });

  test('refuses too few columns', () => {
    expect(() => drawGanttText(stepChart(...small()), { columns: 20 })).toThrow(
      'scheduler/drawGanttText: 20 columns are too few, give at least 50',
    );
  });
});

describe('the drawing', () => {
  test('is well-formed, self-contained and the same each time', () => {
    for (const [timeline, schedule] of [small(), rich(), everything()]) {
      const svg = drawGanttSvg({ ...stepChart(timeline, schedule), title: hostile });
      const names = elementsOf(svg);
      expect(names.slice(0, 3)).toEqual(['svg', 'title', 'desc']);
      expect(names).not.toContain('script');
      expect(svg.replace('http://www.w3.org/2000/svg', '')).not.toContain('://');
      expect(svg).not.toMatch(/NaN|Infinity|undefined|\d\.\d{3}/);
      expect(svg).toMatch(/^<svg [^>]*viewBox="0 0 1200 [\d.]+"[^>]* role="img"/);
      expect(
        drawGanttSvg({
          ...stepChart(...(JSON.parse(JSON.stringify([timeline, schedule])) as [Timeline, Schedule])),
          title: hostile,
        }),
      ).toBe(svg);
    }
  });

  test('escapes names', () => {
    const svg = drawGanttSvg({ ...stepChart(...rich()), title: hostile });
    expect(svg.match(/a&lt;b&gt; &amp; &quot;c&quot;\ufffd/g)!.length).toBeGreaterThan(3);
    expect(svg).not.toContain('<b>');
  });

  test('gives every type of span and every cause of waiting a distinct legend entry and pattern', () => {
    const svg = drawGanttSvg(stepChart(...everything()));
    const patterns = [...svg.matchAll(/<pattern id="gear-([\w-]+)-0"[^>]*>(.*)<\/pattern>/g)];
    const kinds = [
      ...workTypes,
      ...transferTypes,
      'frozenForward',
      ...causes.map((cause) => `waiting-${cause}`),
    ];
    expect(patterns.map(([, kind]) => kind).sort()).toEqual([...kinds].sort());
    // Without colour too: hatch and lightness of what can lie side by side.
    const hatchOf = (pattern: string) => /<path d="[^"]*"/.exec(pattern)?.[0] ?? `plain ${pattern}`;
    expect(new Set(patterns.map(([, , pattern]) => hatchOf(pattern!))).size).toBe(kinds.length);
    const swatches = [
      ...svg.matchAll(/width="24" height="12" fill="url\(#gear-([\w-]+)-0\)"[^>]*\/>\n<text[^>]*>([^<]+)/g),
    ];
    expect(swatches.map(([, kind]) => kind).sort()).toEqual([...kinds].sort());
    expect(new Set(swatches.map(([, , label]) => label)).size).toBe(kinds.length);
  });

  test('uses no pattern that it does not define', () => {
    for (const svg of [
      ...[small(), rich(), everything()].map((of) => drawGanttSvg(stepChart(...of))),
      crowdedSvg,
    ]) {
      const defined = new Set([...svg.matchAll(/<pattern id="([\w-]+)"/g)].map(([, id]) => id));
      for (const [, id] of svg.matchAll(/url\(#([\w-]+)\)/g)) expect(defined).toContain(id);
    }
  });

  test('draws each span of a small pipeline in its place', () => {
    const svg = drawGanttSvg(stepChart(...small()));
    const boxes = [
      ...svg.matchAll(
        /<rect x="([\d.]+)"[^>]* width="([\d.]+)"[^>]* fill="url\(#gear-([\w-]+)-0\)"><title>([^<]*)/g,
      ),
    ];
    const forward = boxes.filter(([, , , kind]) => kind === 'forward');
    expect(forward.map(([, , , , title]) => title)).toEqual([
      'forward · t · step 0 · micro-batch 0 · 0 s to 1 s',
      'forward · t · step 0 · micro-batch 1 · 1 s to 2 s',
      'forward · t · step 0 · micro-batch 0 · 2 s to 3 s',
      'forward · t · step 0 · micro-batch 1 · 3 s to 4 s',
    ]);
    const [first, second] = forward.map(([, x]) => Number(x));
    expect(first).toBe(0);
    expect(forward.map(([, x]) => Math.round(Number(x) / second!))).toEqual([0, 1, 2, 3]);
    expect(svg).toContain('makespan 10 s · idle 50%');
  });

  test('groups devices under their stages and says which are frozen', () => {
    const svg = drawGanttSvg(stepChart(...rich()));
    expect([...svg.matchAll(/stage \d · [^<]*/g)].map(([label]) => label)).toEqual([
      'stage 0 · layers 0–1 · frozen',
      'stage 1 · layers 2–3',
      'stage 1 · layers 2–3',
      'stage 2 · layer 4',
    ]);
  });

  test('of forty devices and 160,000 spans stays small and keeps the share of idle time', () => {
    const svg = crowdedSvg;
    expect(svg.length).toBeLessThan(3e6);
    elementsOf(svg);
    const row = svg.split('<g transform').find((part) => part.includes('url(#gear-frozenForward-0)'))!;
    const areaOf = (kind: string) =>
      [...row.matchAll(new RegExp(`<path d="([^"]*)" fill="url\\(#gear-${kind}-0\\)"`, 'g'))]
        .flatMap(([, path]) => [...path!.matchAll(/h([\d.]+)v([\d.]+)/g)])
        .reduce((sum, [, width, height]) => sum + Number(width) * Number(height), 0);
    const [work, idle] = [areaOf('frozenForward') + areaOf('backwardInput'), areaOf('waiting-activation')];
    expect(idle / (work + idle)).toBeCloseTo(0.25, 1);
  });
});

describe('every view', () => {
  test('says what to do about a timeline without spans or of another schedule', () => {
    const [timeline, schedule] = small();
    for (const draw of [traceEvents, stepChart]) {
      expect(() => draw({ ...timeline, spans: [] }, schedule)).toThrow(
        `scheduler/${draw.name}: the timeline has no spans; simulate with { spans: true }`,
      );
      expect(() => draw(timeline, everything()[1])).not.toThrow();
      expect(() => draw(timeline, crowded[1])).toThrow(/knows no device "device-0"; pass the schedule/);
    }
  });
});

describe('the whole run', () => {
  test('of three jobs is exactly this on a terminal', () => {
    expect(drawGanttText(runChart(smallRun, smallCluster), { columns: 80 })).toBe(
      [
        '100 s in all, 3 jobs, 7 MB sent, critical path weather → road+speed → action',
        'device |0 s          |20 s        |40 s         |60 s        |80 s          used',
        'nano   ··············---cbcbcbcbcb-------··································  15%',
        'orin   aaaaaaaaaa????····················???ddddddddddddddddddddddddddddddd  70%',
        'tx2    ··············---cbcbcbcbcbCBCBCBC··································  25%',
        'spare  ····································································   0%',
        'wifi   ··············<<<·················>>>·······························  10%',
        'a–z training  A–Z with the prefix from the cache  ? answering  - waiting',
        '< fetched  > collected  a: weather  b: road  c: speed  d: action  · idle',
        '',
      ].join('\n'),
    );
  });

  test('of three jobs is exactly this in words', () => {
    expect(describePlan(smallRun, smallCluster)).toBe(
      [
        '100 s in all, 7 MB sent; no plan takes less than 80 s (gap 25 %, bounded search)',
        'every device is taken to hold the base model already',
        'critical path: weather → road+speed → action',
        'weather: 0 s to 20 s on orin',
        '  5 steps of 3 s',
        '    layers 0–3 on orin; 2 micro-batches (ContextGear)',
        '    bound by the computing of orin, reached to 100 %',
        '    idle: orin 0.0 %',
        '  weather answers 8 samples (validation) on orin, at 15 s for 5 s',
        '  on tx2 instead: the whole plan takes 20 % more',
        'road + speed: 20 s to 50 s on nano + tx2, after weather',
        '  fetches base, 5 MB from orin to nano, at 20 s for 5 s',
        '  fetches segment of weather, 1 MB from orin to tx2, at 20 s for 2.5 s',
        '  5 steps of 3 s, writes the cache of road',
        '    layers 0–1 on nano | layers 2–3 on tx2; 2 micro-batches (ContextGear)',
        '    bound by the air of wifi, reached to 90 %',
        '    idle: nano 50 % (done before the others), tx2 0.0 %',
        '    rejected, 50 % more: layers 0–3 on nano + tx2; 1 micro-batch',
        '  5 steps of 2 s, reads the cache of road',
        '    layers 0–3 on tx2; 2 micro-batches (ContextGear)',
        '    bound by the computing of tx2, reached to 100 %',
        '    idle: tx2 0.0 %',
        '  hands over segment of road, 1 MB from tx2 to orin, at 50 s for 5 s',
        'action: 50 s to 100 s on orin, after road + speed',
        '  weather answers 4 samples (prompts) on orin, at 50 s for 5 s',
        '  5 steps of 9 s',
        '    layers 0–3 on orin; 2 micro-batches (ContextGear)',
        '    bound by the computing of orin, reached to 100 %',
        '    idle: orin 0.0 %',
        'spare is not used: with it the plan takes 10 % more',
      ].join('\n'),
    );
  });

  test('says who holds the base model at the start and who collects segments', () => {
    const said = describePlan(smallRun, { ...smallCluster, resident: ['orin'], keeper: 'orin' });
    expect(said).toContain('holding the base model at the start: orin\nfinished segments go to orin\n');
    expect(said).not.toContain('already');
    expect(describePlan(smallRun, { ...smallCluster, resident: [] })).toContain(
      'holding the base model at the start: no device',
    );
  });

  test('is drawn with one box for each part of a job on each of its devices, and one for each transfer', () => {
    const svg = drawGanttSvg({ ...runChart(smallRun, smallCluster), title: hostile });
    elementsOf(svg);
    expect(svg).not.toMatch(/NaN|Infinity|undefined|\d\.\d{3}/);
    const boxes = [...svg.matchAll(/fill="url\(#gear-run-([\w-]+)\)"><title>([^<]*)/g)];
    const waits = 'road + speed · waits for what it fetches, or for its other devices · ';
    expect(boxes.map(([, look, title]) => [look, title])).toEqual([
      ['held', `${waits}20 s to 25 s`],
      ['train-1-2', 'road + speed · 5 steps of 3 s · training · 25 s to 40 s'],
      ['held', `${waits}40 s to 50 s`],
      ['train-0', 'weather · 5 steps of 3 s · training · 0 s to 15 s'],
      ['answer-0', 'weather answers 8 samples (validation) · 15 s to 20 s'],
      ['answer-0', 'weather answers 4 samples (prompts) · 50 s to 55 s'],
      ['train-3', 'action · 5 steps of 9 s · training · 55 s to 100 s'],
      ['held', `${waits}20 s to 25 s`],
      ['train-1-2', 'road + speed · 5 steps of 3 s · training · 25 s to 40 s'],
      ['cached-1-2', 'road + speed · 5 steps of 2 s · training, prefix from the cache · 40 s to 50 s'],
      ['fetch-0', 'fetch · segment of weather, 1 MB from orin to tx2 · 20 s to 22.5 s'],
      ['collect-1', 'collect · segment of road, 1 MB from tx2 to orin · 50 s to 55 s'],
      ['fetch', 'fetch · base, 5 MB from orin to nano · 20 s to 25 s'],
    ]);
  });

  test('has a process for each device and medium in a trace, with a span for each box', () => {
    const { traceEvents: events } = traceRun(smallRun, smallCluster);
    const names = events.filter(({ ph, name }) => ph === 'M' && name === 'process_name');
    expect(names.map((event) => event.ph === 'M' && event.args['name'])).toEqual([
      'nano',
      'orin',
      'tx2',
      'spare',
      'wifi',
    ]);
    expect(events.filter(({ ph }) => ph === 'X')).toHaveLength(13);
    expect(events.find(({ cat }) => cat === 'answer')).toMatchObject({ name: 'weather', ts: 15e6, dur: 5e6 });
  });

  test('fills every job on every device without an overlap, whatever the plan', () => {
    const ids = ['d0', 'd1', 'd2', 'd3'];
    const parts = fc.array(
      fc.record({ on: fc.subarray(ids, { minLength: 1 }), wait: fc.nat(3), last: fc.nat(9) }),
      {
        minLength: 1,
        maxLength: 4,
      },
    );
    fc.assert(
      fc.property(fc.array(parts, { maxLength: 12 }), (specs) => {
        const free = new Map(ids.map((id) => [id, 0]));
        const jobs = specs.map((spec, index): Plan['jobs'][number] => {
          const tasks = [`t${index}`];
          const devices = ids.filter((id) => spec.some(({ on }) => on.includes(id)));
          const startSeconds = Math.max(...devices.map((id) => free.get(id)!));
          let now = startSeconds;
          const intervals = spec.map(({ on, wait, last }) => {
            now += wait + last;
            return interval(tasks, now - last, now, [stage(0, 1, ...on)]);
          });
          for (const id of devices) free.set(id, now);
          return {
            tasks,
            devices,
            startSeconds,
            endSeconds: now,
            fetches: [],
            answers: [],
            intervals,
            collects: [],
          };
        });
        const totalSeconds = Math.max(...free.values());
        const chart = runChart({ ...smallRun, jobs, totalSeconds }, clusterOf(ids));
        elementsOf(drawGanttSvg(chart));
        for (const { name, lanes } of chart.rows) {
          expect(lanes).toHaveLength(1);
          const { spans } = lanes[0]!;
          for (const [index, { startSeconds }] of spans.entries())
            expect(startSeconds).toBeGreaterThanOrEqual(spans[index - 1]?.endSeconds ?? 0);
          for (const { tasks, devices, startSeconds, endSeconds } of jobs) {
            const own = spans.filter(({ text }) => text.startsWith(`${tasks[0]!} `));
            const seconds = own.reduce((sum, span) => sum + span.endSeconds - span.startSeconds, 0);
            expect(seconds).toBe(devices.includes(name) ? endSeconds - startSeconds : 0);
          }
        }
      }),
      { numRuns: 200 },
    );
  });
});
