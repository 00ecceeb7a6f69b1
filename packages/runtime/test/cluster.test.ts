import { randomInt } from 'node:crypto';

import {
  createPipelineModel,
  openTransport,
  type OpenWire,
  type PipelineEvent,
  type Transport,
} from '@contextlora/runtime';
import {
  announceEndpoint,
  type ClusterPlan,
  controlMessages,
  type Engine,
  findEndpoint,
  joinCluster,
  peersOf,
  proposePlan,
  readEpoch,
  watchMembers,
  workInCluster,
} from '@contextlora/runtime/engine';
import { grpcWire } from '@contextlora/runtime/grpc';
import { connectNats, natsWire, openNatsStore } from '@contextlora/runtime/nats';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { describeWithNats, startNatsServer, type TestServer } from './nats-server.js';
import { placeToy, serveToy, toyExamples, toyModelSide } from './toy-pipeline.js';
import type { ToyModel } from './toy-stage.js';

const clock = () => performance.now() / 1000;
const model: ToyModel = { width: 8, layers: 6, tasks: { road: 1 } };
const phase = { tasks: ['road'], roles: { road: { road: 'train' as const } } };

describeWithNats('A cluster over NATS', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startNatsServer();
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  const engineOf = async (cluster: string, device: string) => {
    const connection = await connectNats(server.address, { name: device });
    const engine: Engine = {
      store: await openNatsStore(connection, { cluster }),
      messages: controlMessages({ cluster, device }),
    };
    return { engine, [Symbol.asyncDispose]: () => connection.close() };
  };
  /** This device's transport for a plan, as its carrier says. */
  const openFor = ({ store, messages }: Engine, plan: ClusterPlan, epoch: number): Promise<Transport> => {
    const { device } = messages;
    const peers = peersOf(plan, device);
    const wire: OpenWire =
      plan.carrier === 'nats'
        ? natsWire({
            device,
            peers,
            run: plan.run,
            connect: () => connectNats(server.address, { name: device, reconnect: false }),
          })
        : grpcWire({
            device,
            peers,
            host: '127.0.0.1',
            announce: (endpoint) =>
              announceEndpoint({ store, messages }, { epoch, endpoint, sequence: epoch }),
            endpointOf: (peer, signal) => findEndpoint({ store, messages }, { epoch, peer, signal }),
          });
    return openTransport(wire, { device, peers, epoch, session: randomInt(2 ** 32), clock });
  };

  /** Trains on the workers that have joined; a lost one is gone without a goodbye at its n-th computation. */
  async function train(
    carrier: ClusterPlan['carrier'],
    workers: readonly string[],
    lost?: { device: string; at: number },
  ) {
    const cluster = `${carrier} ${workers.length} ${lost?.device}`;
    const stop = new AbortController();
    const running = workers.map(async (device) => {
      await using opened = await engineOf(cluster, device);
      const { engine } = opened;
      await using lease = await joinCluster(
        engine,
        { doing: 'waits', epoch: 0 },
        { firstSequence: Date.now() },
      );
      const seen: string[] = [];
      const work = workInCluster(engine, {
        open: (plan, epoch) => openFor(engine, plan, epoch),
        async serve(transport) {
          let count = 0;
          await serveToy(transport, model, () => {
            if (device === lost?.device && ++count === lost.at) void transport[Symbol.asyncDispose]();
          });
        },
        signal: stop.signal,
      });
      for await (const { type, epoch } of work) {
        seen.push(`${type} ${epoch}`);
        lease.update({ doing: type, epoch });
      }
      return seen;
    });
    // One that fails never joins, and would be waited for.
    for (const worker of running)
      worker.catch(() => {
        stop.abort();
      });
    await using opened = await engineOf(cluster, 'coordinator');
    const { engine } = opened;
    for await (const members of watchMembers(engine, { clock, signal: stop.signal }))
      if (members.length === workers.length) break;
    if (stop.signal.aborted) await Promise.all(running);
    const plan: ClusterPlan = {
      run: 'r1',
      coordinator: 'coordinator',
      devices: workers,
      carrier,
      work: null,
    };
    const { epoch } = (await proposePlan(engine, plan, { after: await readEpoch(engine) }))!;
    const events: PipelineEvent[] = [];
    const losses: number[] = [];
    let hash: string;
    {
      await using transport = await openFor(engine, plan, epoch);
      await using pipeline = createPipelineModel({
        transport,
        devices: workers,
        model: toyModelSide(model),
        place: (left, tasks) => placeToy(model, left, tasks, { cuts: [[], [4], [2, 5]][left.length - 1]! }),
        onEvent: (event) => events.push(event),
        firstSeconds: 20,
      });
      await pipeline.setPhase(phase);
      const examples = toyExamples(6, model.width);
      for (let step = 0; step < 4; step++)
        losses.push(
          (
            await pipeline.step(
              'road',
              [0, 2, 4].map((at) => examples.slice(at, at + 2)),
              { learningRate: 0.1 },
            )
          ).loss,
        );
      hash = await pipeline.hashSegment('road');
    }
    stop.abort();
    return { losses, hash, events: events.map(({ type }) => type), seen: await Promise.all(running) };
  }

  test.each(['grpc', 'nats'] as const)(
    'trains the same on one worker and on three, over %s',
    async (carrier) => {
      const one = await train(carrier, ['a']);
      const three = await train(carrier, ['a', 'b', 'c']);
      expect([three.losses, three.hash]).toEqual([one.losses, one.hash]);
      expect(three.seen).toEqual([1, 2, 3].map(() => ['begins 1', 'ended 1']));
    },
  );

  test.each(['grpc', 'nats'] as const)(
    'goes on without a worker that is lost over %s, with the same result',
    async (carrier) => {
      const one = await train(carrier, ['a']);
      const { losses, hash, events } = await train(carrier, ['a', 'b', 'c'], { device: 'b', at: 14 });
      expect([losses, hash]).toEqual([one.losses, one.hash]);
      expect(events).toEqual(expect.arrayContaining(['lost', 'recovered']));
    },
  );

  test('a worker leaves a plan for the next one', async () => {
    await using chiefs = await engineOf('replaced', 'chief');
    await using workers = await engineOf('replaced', 'a');
    const propose = async (next: unknown) =>
      proposePlan(chiefs.engine, next, { after: await readEpoch(chiefs.engine) });
    const plan: ClusterPlan = { run: 'r', coordinator: 'chief', devices: ['a'], carrier: 'nats', work: null };
    const stop = new AbortController();
    const seen: string[] = [];
    let over: AbortSignal | undefined;
    const working = (async () => {
      const work = workInCluster(workers.engine, {
        open(plan, epoch, signal) {
          over = signal;
          return openFor(workers.engine, plan, epoch);
        },
        // Until the plan is over: the coordinator is not there, which must not be what ends the work.
        serve: () =>
          new Promise((resolve) => {
            if (over?.aborted) resolve();
            else
              over?.addEventListener('abort', () => {
                resolve();
              });
          }),
        signal: stop.signal,
      });
      for await (const event of work) {
        seen.push([event.type, event.epoch, 'problem' in event ? event.problem : ''].join(' ').trim());
        if (event.type === 'begins' && event.epoch === 1) await propose({ ...plan, devices: ['b'] });
        if (event.type === 'spared') await propose('nonsense');
        if (event.type === 'ended' && event.epoch === 3) stop.abort();
      }
    })();
    await propose(plan);
    await working;
    expect(seen).toEqual([
      'begins 1',
      'ended 1 another plan took its place',
      'spared 2',
      expect.stringMatching(
        /^ended 3 runtime\/checkClusterPlan: this is no plan: "run" must be a name; .*"carrier"/,
      ),
    ]);
  });
});
