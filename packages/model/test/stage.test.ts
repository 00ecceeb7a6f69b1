import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Kernels, loadOnnxRuntime, openKernels } from '@contextlora/kernels';
import * as tf from '@contextlora/kernels/tfjs';
import {
  initialiseSegments,
  type Partition,
  partitionRanks,
  type Roles,
  type Segments,
} from '@contextlora/lora';
import {
  allLayers,
  clipStep,
  createLocalModel,
  createStageExecutor,
  decodeState,
  encodeState,
  type Example,
  layersOf,
  linearsOf,
  loadLayers,
  loadModel,
  loadText,
  type LoadedModel,
  type LoraDropout,
  lowerLayersKey,
  mergeStates,
  type Microbatch,
  type ModelText,
  openActivationCache,
  openMicrobatches,
  type OptimizerOptions,
  type StageExecutor,
} from '@contextlora/model';

import { fixture } from './golden.js';

const tasks = [
  { id: 'parent', dependsOn: [] },
  { id: 'child', dependsOn: ['parent'] },
  { id: 'sibling', dependsOn: ['parent'] },
];
const rolesOf = (task: string): Roles => ({
  parent: 'freeze',
  child: 'mask',
  sibling: 'mask',
  [task]: 'train',
});
const labels = ['a', 'b', 'red car'];
const image = fixture('images', 'photo.jpg');
/** Labels and free text, of different lengths. */
const texts: Example[] = [
  'red',
  'blue bus',
  'the green dog runs',
  'an old tree by the road',
  'wet',
  'dry',
].map((prompt, i) =>
  i % 3 === 2 ? { prompt, answer: 'the road is wet' } : { prompt, answer: labels[i % 2]!, labels },
);
const seen = texts.map((example, i) => (i % 2 === 0 ? { ...example, image } : example));
const learningRate = 2e-2;

/** Segments with an effect: B is zero at first. */
function effective(partition: Partition): Segments {
  const segments = initialiseSegments(partition, { seed: 1 });
  for (const segment of Object.values(segments))
    for (const { b } of Object.values(segment)) for (const at of b.keys()) b[at] = Math.cos(at) / 20;
  return segments;
}

/** All ways to cut layers `[0, end)` into `parts`. */
function cuts(end: number, parts: number, start = 0): number[][] {
  if (parts === 1) return [[start, end]];
  return Array.from({ length: end - start - parts + 1 }, (_, i) => start + i + 1).flatMap((at) =>
    cuts(end, parts - 1, at).map((rest) => [start, ...rest]),
  );
}

/** In which order the micro-batches go through the pipeline. */
const orders = {
  'one after the other': (count: number) => range(count).flatMap((i) => [`F${i}`, `B${i}`]),
  GPipe: (count: number) => [...range(count).map((i) => `F${i}`), ...range(count).map((i) => `B${i}`)],
  '1F1B': (count: number) => [
    'F0',
    ...range(count).flatMap((i) => (i + 1 < count ? [`F${i + 1}`, `B${i}`] : [`B${i}`])),
  ],
};
type Order = keyof typeof orders;
const range = (count: number) => Array.from({ length: count }, (_, i) => i);
const travelled = <Value>(value: Value): Value => JSON.parse(JSON.stringify(value)) as Value;

/** Stages in this process with what a coordinator does for them. */
function pipeline(
  stages: readonly StageExecutor[],
  text: ModelText,
  partition: Partition,
  dropout?: LoraDropout,
) {
  const prepare = openMicrobatches(text, { dropout });
  let roles: Readonly<Record<string, Roles>> = {};
  const whole = () =>
    mergeStates(
      stages.map((stage) => stage.state()),
      partition,
    );
  const forward = async (microbatch: number, { header, tokens }: Microbatch) => {
    const from = stages.findIndex((stage) => stage.range.start > 0 && stage.holds(header));
    let hidden: Float32Array | undefined;
    let loss = NaN;
    for (const stage of stages.slice(Math.max(0, from))) {
      const input = stage.range.start === 0 ? { tokens: travelled(tokens) } : hidden ? { hidden } : {};
      const output = await stage.forward(microbatch, travelled(header), input);
      hidden = output.hidden;
      loss = output.loss ?? loss;
    }
    return loss;
  };
  const backward = async (microbatch: number, { header }: Microbatch, split: boolean) => {
    const of = { task: header.task, microbatch };
    let gradient: Float32Array | undefined;
    const later: StageExecutor[] = [];
    for (const stage of [...stages].reverse()) {
      const work = stage.work(header.task, header);
      if (!work.backward) break;
      gradient = await (split ? stage.backwardInput(of, gradient) : stage.backward(of, gradient));
      expect(gradient !== undefined).toBe(work.inputGradient);
      if (split && work.trains) later.push(stage);
    }
    for (const stage of later) await stage.backwardWeight(of);
  };
  return {
    stages,
    whole,
    async setPhase(some: readonly string[]) {
      roles = Object.fromEntries(some.map((task) => [task, rolesOf(task)]));
      for (const stage of stages) await stage.setPhase({ tasks: some, roles });
    },
    /** One step of each task, their micro-batches interleaved. */
    async step(
      batches: Readonly<Record<string, readonly (readonly Example[])[]>>,
      { order = 'one after the other', split = false }: { order?: Order; split?: boolean } = {},
    ) {
      const work = Object.entries(batches).map(([task, microBatches]) => {
        const lowerKey = lowerLayersKey(text.spec, partition, { task, roles, segments: whole().segments });
        return { task, microbatches: prepare(task, microBatches, { lowerKey }), loss: 0 };
      });
      for (const turn of orders[order](Math.max(...work.map(({ microbatches }) => microbatches.length))))
        for (const one of work) {
          const microbatch = Number(turn.slice(1));
          const found = one.microbatches[microbatch];
          if (found && turn.startsWith('F')) one.loss += await forward(microbatch, found);
          else if (found) await backward(microbatch, found, split);
        }
      const results: Record<string, { loss: number; gradientNorm: number }> = {};
      for (const { task, loss } of work) {
        const squares = stages.flatMap((stage) => stage.gradientSquares(task));
        const { norm, gradientScale } = clipStep(squares, { loss, clipNorm: 1 });
        results[task] = { loss, gradientNorm: norm };
        for (const stage of stages)
          await (gradientScale === undefined
            ? stage.discard(task)
            : stage.update(task, { learningRate, gradientScale }));
      }
      return results;
    },
  };
}
type Pipeline = ReturnType<typeof pipeline>;

const backends = ['wasm', ...(typeof loadOnnxRuntime() === 'string' ? [] : (['onnx'] as const))] as const;

describe.each(backends)('stages on the %s backend', (backend) => {
  let kernels: Kernels;
  const models: Record<string, LoadedModel> = {};
  beforeAll(async () => {
    kernels = await openKernels({ prefer: backend });
    for (const name of ['llama-tiny', 'smolvlm-tiny'])
      models[name] = await loadModel(fixture(name), { kernels });
    models['llama-tiny in w8a8'] = await loadModel(fixture('llama-tiny'), { kernels, base: 'w8a8' });
  });
  afterAll(() => {
    for (const model of Object.values(models)) model.dispose();
    kernels.dispose();
  });

  const partitionOf = (model: LoadedModel, only: Record<string, { from: number; to: number }> = {}) =>
    partitionRanks(linearsOf(model.spec), tasks, { rank: 6, only });
  const cut = (
    model: LoadedModel,
    at: readonly number[],
    partition: Partition,
    {
      cached = false,
      optimizer = {},
      dropout,
    }: { cached?: boolean; optimizer?: OptimizerOptions; dropout?: LoraDropout | undefined } = {},
  ): Pipeline => {
    const stages = at.slice(1).map((end, i) =>
      createStageExecutor(layersOf(model, { start: at[i]!, end }), {
        partition,
        segments: effective(partition),
        optimizer,
        activations: openActivationCache(cached ? {} : { maximumBytes: 0 }),
      }),
    );
    return pipeline(stages, model, partition, dropout);
  };
  /** Steps of LocalModel; what it gives is what every pipeline must give. */
  const onOneDevice = async (
    model: LoadedModel,
    partition: Partition,
    steps: readonly Readonly<Record<string, readonly (readonly Example[])[]>>[],
    { optimizer = {}, dropout }: { optimizer?: OptimizerOptions; dropout?: LoraDropout | undefined } = {},
  ) => {
    const local = createLocalModel(model, {
      partition,
      segments: effective(partition),
      optimizer,
      activations: openActivationCache({ maximumBytes: 0 }),
      ...(dropout ? { dropout } : {}),
    });
    const some = Object.keys(steps[0]!);
    await local.setPhase({
      tasks: some,
      roles: Object.fromEntries(some.map((task) => [task, rolesOf(task)])),
    });
    const results = [];
    for (const step of steps) {
      const result: Record<string, { loss: number; gradientNorm: number }> = {};
      for (const [task, microBatches] of Object.entries(step)) {
        const { loss, gradientNorm } = await local.step(task, microBatches, { learningRate });
        result[task] = { loss, gradientNorm };
      }
      results.push(result);
    }
    return { results, files: await local.saveState() };
  };
  const steps = (examples: readonly Example[], ...some: string[]) =>
    [
      [0, 1, 2],
      [3, 4],
      [5, 0, 4],
    ].map((rows) => {
      const chosen = rows.map((row) => examples[row]!);
      const microBatches = [chosen.slice(0, 1), chosen.slice(1, 2), chosen.slice(2)];
      return Object.fromEntries(some.map((task) => [task, microBatches]));
    });
  const runs = async (
    through: Pipeline,
    of: ReturnType<typeof steps>,
    how?: Parameters<Pipeline['step']>[1],
  ) => {
    await through.setPhase(Object.keys(of[0]!));
    const results = [];
    for (const step of of) results.push(await through.step(step, how));
    return results;
  };

  // A row shorter than the test's parameters would leave the last for Jest's `done`.
  test.each<[string, string, readonly Example[], LoraDropout | undefined]>([
    ['llama-tiny', 'text', texts, undefined],
    ['llama-tiny in w8a8', 'text on a base in integers', texts, undefined],
    ['smolvlm-tiny', 'images, with a connector that trains', seen, undefined],
    ['smolvlm-tiny', 'images, with dropout', seen, { seed: 2, rate: 0.25 }],
  ])('of %s in every cut train to the bytes of one device (%s)', async (name, _, examples, dropout) => {
    const model = models[name]!;
    const partition = partitionOf(model);
    const all = steps(examples, 'child').slice(1);
    const expected = await onOneDevice(model, partition, all, { dropout });
    const { end } = allLayers(model.spec);
    let turn = 0;
    for (const parts of [1, 2, 3, 4])
      for (const at of cuts(end, parts)) {
        const order = (Object.keys(orders) as Order[])[turn % 3]!;
        const how = { order, split: turn % 2 === 1 };
        turn += 1;
        const through = cut(model, at, partition, { dropout });
        const before = tf.memory().numTensors;
        const results = await runs(through, all, how);
        expect([at, how, results]).toEqual([at, how, expected.results]);
        expect(encodeState(through.whole(), partition)).toEqual(expected.files);
        for (const stage of through.stages) await stage[Symbol.asyncDispose]();
        expect(tf.memory().numTensors).toBe(before);
      }
  });

  test.each([[[0, 2, 4]], [[0, 3, 4]], [[0, 1, 2, 4]]])(
    'below layer 2, which is the lowest that trains, nothing runs backward, and once the cache is full nothing at all (%j)',
    async (at) => {
      const model = models['llama-tiny']!;
      const partition = partitionOf(model, { child: { from: 1, to: 2 }, sibling: { from: 1, to: 2 } });
      const all = [...steps(texts, 'child'), ...steps(texts, 'child')];
      const expected = await onOneDevice(model, partition, all);
      for (const cached of [false, true]) {
        const through = cut(model, at, partition, { cached });
        const forwards = new Map<StageExecutor, number>();
        const counted = through.stages.map((stage): StageExecutor => ({
          ...stage,
          forward: (...given) => {
            forwards.set(stage, (forwards.get(stage) ?? 0) + 1);
            return stage.forward(...given);
          },
        }));
        const results = await runs(pipeline(counted, model, partition), all, { order: '1F1B' });
        expect(results).toEqual(expected.results);
        expect(encodeState(through.whole(), partition)).toEqual(expected.files);
        const below = through.stages.filter((stage) => stage.range.end <= 2);
        for (const stage of below) {
          expect(stage.work('child', { hasImages: false })).toEqual({
            backward: false,
            trains: false,
            inputGradient: false,
          });
          const microbatches = all.flatMap(({ child }) => child!.filter((batch) => batch.length > 0)).length;
          if (cached) expect(forwards.get(stage)).toBeLessThan(microbatches);
          else expect(forwards.get(stage)).toBe(microbatches);
        }
      }
    },
  );

  // What follows computes nothing that a backend could do otherwise.
  if (backend !== 'wasm') return;

  test('two siblings interleaved train to the bytes of one device', async () => {
    const model = models['llama-tiny']!;
    const partition = partitionOf(model);
    const all = steps(texts, 'child', 'sibling');
    const expected = await onOneDevice(model, partition, all);
    for (const [i, order] of (Object.keys(orders) as Order[]).entries()) {
      const through = cut(model, [0, 2, 4], partition);
      expect(await runs(through, all, { order, split: i > 0 })).toEqual(expected.results);
      expect(encodeState(through.whole(), partition)).toEqual(expected.files);
    }
  });

  test('a step that ends while a micro-batch of a sibling is in flight changes nothing of that one', async () => {
    const model = models['llama-tiny']!;
    const partition = partitionOf(model);
    const [first] = steps(texts, 'child', 'sibling');
    const expected = await onOneDevice(model, partition, [first!]);
    const through = cut(model, [0, 4], partition);
    const [stage] = through.stages as [StageExecutor];
    await through.setPhase(['child', 'sibling']);
    const [early, ...others] = openMicrobatches(model)('child', first!['child']!) as [
      Microbatch,
      ...Microbatch[],
    ];
    const before = tf.memory().numTensors;
    let { loss = NaN } = await stage.forward(0, early.header, { tokens: early.tokens });
    await through.step({ sibling: first!['sibling']! });
    await stage.backward({ task: 'child', microbatch: 0 });
    for (const [i, { header, tokens }] of others.entries()) {
      loss += (await stage.forward(i + 1, header, { tokens })).loss ?? NaN;
      await stage.backward({ task: 'child', microbatch: i + 1 });
    }
    const { gradientScale = NaN } = clipStep(stage.gradientSquares('child'), { loss, clipNorm: 1 });
    await stage.update('child', { learningRate, gradientScale });
    expect(encodeState(stage.state(), partition)).toEqual(expected.files);
    await stage[Symbol.asyncDispose]();
    expect(tf.memory().numTensors).toBe(before);
  });

  test.each<OptimizerOptions>([{}, { method: 'lion' }, { method: 'sgd', momentum: 0.9 }, { method: 'sgd' }])(
    'a state taken in the middle goes on in other cuts to the same bytes (%j)',
    async (optimizer) => {
      const model = models['smolvlm-tiny']!;
      const partition = partitionOf(model);
      const all = steps(seen, 'child');
      const expected = await onOneDevice(model, partition, all, { optimizer });
      const first = cut(model, [0, 1, 3, 4], partition, { optimizer });
      await runs(first, all.slice(0, 2));
      const next = cut(model, optimizer.method === 'lion' ? [0, 4] : [0, 2, 4], partition, { optimizer });
      await next.setPhase(['child']);
      const saved = decodeState(encodeState(first.whole(), partition), next.whole(), partition);
      for (const stage of next.stages) await stage.restore(saved);
      expect(await next.step(all[2]!)).toEqual(expected.results[2]);
      expect(encodeState(next.whole(), partition)).toEqual(expected.files);
    },
  );

  test('loaded each from its own bytes train to the bytes of the whole model', async () => {
    const model = models['llama-tiny']!;
    const partition = partitionOf(model);
    const all = steps(texts, 'child');
    const expected = await onOneDevice(model, partition, all);
    const loaded = [];
    for (const [start, end] of [
      [0, 2],
      [2, 3],
      [3, 4],
    ] as const)
      loaded.push(await loadLayers(fixture('llama-tiny'), { kernels, start, end }));
    const stages = loaded.map((layers) =>
      createStageExecutor(layers, { partition, segments: effective(partition) }),
    );
    const through = pipeline(stages, await loadText(fixture('llama-tiny')), partition);
    expect(await runs(through, all)).toEqual(expected.results);
    expect(encodeState(through.whole(), partition)).toEqual(expected.files);
    for (const layers of loaded) layers.dispose();
  });

  test('a step whose loss is NaN changes nothing in any stage, and the next one is as if it had not been', async () => {
    const model = models['llama-tiny']!;
    const partition = partitionOf(model);
    const all = steps(texts, 'child');
    const expected = await onOneDevice(model, partition, all.slice(0, 2));
    const through = cut(model, [0, 2, 4], partition);
    const [lower, upper] = through.stages as [StageExecutor, StageExecutor];
    const poisoned: StageExecutor = {
      ...lower,
      async forward(...given) {
        const { hidden = new Float32Array() } = await lower.forward(...given);
        return { hidden: hidden.map(() => NaN) };
      },
    };
    await runs(through, all.slice(0, 1));
    const before = through.whole();
    const wrong = pipeline([poisoned, upper], model, partition);
    expect((await wrong.step(all[1]!))['child']).toEqual({ loss: NaN, gradientNorm: NaN });
    expect(through.whole()).toEqual(before);
    expect(await through.step(all[1]!)).toEqual(expected.results[1]);
  });

  test('what is not possible is refused by name and changes nothing', async () => {
    const model = models['llama-tiny']!;
    const partition = partitionOf(model);
    const through = cut(model, [0, 2, 4], partition);
    const [lower, upper] = through.stages as [StageExecutor, StageExecutor];
    await through.setPhase(['child']);
    const [{ header, tokens }] = openMicrobatches(model)('child', [texts]) as [Microbatch];
    const of = { task: 'child', microbatch: 0 };
    const update = { learningRate, gradientScale: 1 };
    const { hidden = new Float32Array() } = await lower.forward(0, header, { tokens });
    const refused: [string, () => unknown][] = [
      ['forward: the first stage reads tokens', () => lower.forward(1, header, { hidden })],
      ['forward: layers 2 to 4 read hidden values', () => upper.forward(0, header, { tokens })],
      ['forward: layers 2 to 4 need hidden values', () => upper.forward(0, header, {})],
      ['forward: there are 5 hidden values', () => upper.forward(0, header, { hidden: new Float32Array(5) })],
      ['forward: micro-batch 0 of "child" is in flight', () => lower.forward(0, header, { tokens })],
      [
        'forward: task "sibling" does not train',
        () => lower.forward(1, { ...header, task: 'sibling' }, { tokens }),
      ],
      ['forward: rows have', () => lower.forward(1, { ...header, lengths: [] }, { tokens })],
      [
        'backward: micro-batch 1 of "child" is not in flight',
        () => lower.backward({ ...of, microbatch: 1 }, hidden),
      ],
      ['backward: there are 0 gradients', () => lower.backward(of)],
      ['backwardWeight: micro-batch 0 of "child" has had no backwardInput', () => lower.backwardWeight(of)],
      ['update: a micro-batch of "child" is still in flight', () => lower.update('child', update)],
      [
        'update: the factor of the gradient is NaN',
        () => lower.update('child', { ...update, gradientScale: NaN }),
      ],
      ['restore: the state does not fit', () => lower.restore({ segments: {}, optimizers: {} })],
      ['mergeStates: the states are not', () => mergeStates([lower.state()], partition)],
      ['layersOf: there are no layers 3 to 3', () => layersOf(model, { start: 3, end: 3 })],
    ];
    const refuse = async () => {
      for (const [message, call] of refused)
        await expect(Promise.resolve().then(call)).rejects.toThrow(`model/${message}`);
      return tf.memory().numTensors;
    };
    // The first call uploads the segments of the upper stage.
    expect(await refuse()).toBe(await refuse());
    const all = steps(texts, 'child');
    await lower.discard('child');
    expect(await runs(through, all)).toEqual((await onOneDevice(model, partition, all)).results);
  });
});
