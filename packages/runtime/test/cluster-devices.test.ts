import { createPipelineModel, memoryTransports, type PipelineEvent } from '@contextlora/runtime';
import {
  type ClusterPlan,
  controlMessages,
  type Engine,
  type EngineStore,
  joinCluster,
  memoryStore,
  openClusterDevices,
  proposePlan,
  readEpoch,
  workInCluster,
} from '@contextlora/runtime/engine';
import { describe, expect, test } from '@jest/globals';
import { setTimeout } from 'node:timers/promises';

import { openToyPipeline, placeToy, serveToy, toyExamples, toyModelSide } from './toy-pipeline.js';
import type { ToyModel } from './toy-stage.js';

const clock = () => performance.now() / 1000;
const model: ToyModel = { width: 6, layers: 4, tasks: { road: 1, weather: 1 } };
const phaseOf = (task: string) => ({ tasks: [task], roles: { [task]: { [task]: 'train' as const } } });
const place = (left: readonly string[], tasks: readonly string[]) =>
  placeToy(model, left, tasks, { cuts: [[], [3], [2, 4]][left.length - 1]! });
const engineOf = (store: EngineStore, device: string): Engine => ({
  store,
  messages: controlMessages({ cluster: 'home', device }),
});

/** Networks in memory, a new one for each plan that opens connections. */
function networks() {
  const opened = new Map<number, ReturnType<typeof memoryTransports>>();
  return (plan: ClusterPlan, epoch: number, device: string) => {
    const network = opened.get(epoch) ?? memoryTransports([plan.coordinator, ...plan.devices]);
    opened.set(epoch, network);
    return network.get(device)!;
  };
}

/** A worker that says what happens to it; `leave` ends it without a goodbye. */
async function startWorker(store: EngineStore, device: string, transportOf: ReturnType<typeof networks>) {
  const engine = engineOf(store, device);
  const stop = new AbortController();
  const seen: string[] = [];
  let last: ReturnType<ReturnType<typeof networks>> | undefined;
  const lease = await joinCluster(engine, { doing: 'waits', epoch: 0 }, { firstSequence: Date.now() });
  const work = workInCluster(engine, {
    open: (plan, epoch) => Promise.resolve((last = transportOf(plan, epoch, device))),
    serve: (transport) => serveToy(transport, model),
    signal: stop.signal,
  });
  const running = (async () => {
    for await (const event of work) {
      seen.push(`${event.type} ${event.epoch}`);
      lease.update({
        doing: event.type,
        epoch: event.epoch,
        ...('plan' in event ? { run: event.plan.run } : {}),
      });
    }
  })();
  return {
    seen,
    async leave() {
      last?.lose();
      stop.abort();
      await running;
      await lease[Symbol.asyncDispose]();
    },
  };
}

/** A coordinator's part, and the plans that it made. */
function coordinate(store: EngineStore, transportOf: ReturnType<typeof networks>, run = 'first') {
  const plans: string[] = [];
  const devices = openClusterDevices(engineOf(store, 'coordinator'), {
    run,
    carrier: 'nats',
    work: () => null,
    open: (plan, epoch) => Promise.resolve(transportOf(plan, epoch, 'coordinator')),
    clock,
    onPlan: ({ devices: names, since }, epoch) =>
      plans.push(`${epoch}: ${names.join(' ')}${since === undefined ? '' : ` since ${since}`}`),
  });
  const untilThere = async (...names: string[]) => {
    const now = () => devices.members().map(({ device }) => device);
    while (now().join() !== names.join()) await setTimeout(20);
  };
  return { devices, plans, untilThere };
}

type Pipeline = ReturnType<typeof openToyPipeline>['pipeline'];
const examples = toyExamples(4, model.width);
const batches = [examples.slice(0, 2), examples.slice(2)];
const step = (pipeline: Pipeline, task: string) => pipeline.step(task, batches, { learningRate: 0.1 });
const hashesOf = async (pipeline: Pipeline) => [
  await pipeline.hashSegment('road'),
  await pipeline.hashSegment('weather'),
];

describe('Plans of a cluster', () => {
  test('leave out a worker that is lost and bring in one that has joined, with the result of one device', async () => {
    const { pipeline: alone } = openToyPipeline(model, ['x'], { place });
    for (const task of ['road', 'weather']) {
      await alone.setPhase(phaseOf(task));
      for (let at = 0; at < 3; at++) await step(alone, task);
    }
    const expected = await hashesOf(alone);
    await alone[Symbol.asyncDispose]();

    const [store, transportOf] = [memoryStore(), networks()];
    const [a, b] = await Promise.all(['a', 'b'].map((name) => startWorker(store, name, transportOf)));
    const { devices, plans, untilThere } = coordinate(store, transportOf);
    await untilThere('a', 'b');
    const events: PipelineEvent[] = [];
    const pipeline = createPipelineModel({
      connect: (left) => devices.connect(left),
      model: toyModelSide(model),
      place,
      onEvent: (event) => events.push(event),
      silenceSeconds: 20,
    });
    await pipeline.setPhase(phaseOf('road'));
    await step(pipeline, 'road');
    await b!.leave();
    await step(pipeline, 'road');
    const c = await startWorker(store, 'c', transportOf);
    await untilThere('a', 'c');
    await step(pipeline, 'road');
    await pipeline.setPhase(phaseOf('weather'));
    for (let at = 0; at < 3; at++) await step(pipeline, 'weather');

    expect(await hashesOf(pipeline)).toEqual(expected);
    expect(plans).toEqual(['1: a b', '2: a since 1', '3: a c']);
    expect(events.filter(({ type }) => type === 'lost' || type === 'recovered')).toMatchObject([
      { type: 'lost', device: 'b' },
      { type: 'recovered' },
    ]);
    await pipeline[Symbol.asyncDispose]();
    await devices[Symbol.asyncDispose]();
    expect(await readEpoch(engineOf(store, 'coordinator'))).toBe(4);
    await Promise.all([a!.leave(), c.leave()]);
    expect(a!.seen).toEqual(['begins 1', 'continues 2', 'ended 2', 'begins 3', 'ended 3', 'spared 4']);
    expect(b!.seen).toEqual(['begins 1', 'ended 1']);
    expect(c.seen.slice(-3)).toEqual(['begins 3', 'ended 3', 'spared 4']);
  });

  test('wait while the cluster works on another run, and end when another coordinator makes one', async () => {
    const [store, transportOf] = [memoryStore(), networks()];
    const worker = await startWorker(store, 'a', transportOf);
    const first = coordinate(store, transportOf);
    await first.untilThere('a');
    await first.devices.connect([]);
    const second = coordinate(store, transportOf, 'second');
    while (second.devices.members()[0]?.run !== 'first') await setTimeout(20);
    await expect(second.devices.connect([])).rejects.toMatchObject({
      code: 'RUNTIME_CLUSTER_BUSY',
      message: expect.stringContaining('a works on first; a cluster works on one run at a time') as unknown,
    });
    expect(second.plans).toEqual([]);
    await proposePlan(engineOf(store, 'other'), 'whatever', { after: 1 });
    await expect(first.devices.connect([])).rejects.toMatchObject({ code: 'RUNTIME_PEER_LOST' });
    const late = await startWorker(store, 'b', transportOf);
    await first.untilThere('a', 'b');
    await expect(first.devices.connect(['a'])).rejects.toMatchObject({ code: 'RUNTIME_CLUSTER_BUSY' });
    await Promise.all([first, second].map(({ devices }) => devices[Symbol.asyncDispose]()));
    expect(await readEpoch(engineOf(store, 'coordinator'))).toBe(2);
    await Promise.all([worker.leave(), late.leave()]);
  });
});
