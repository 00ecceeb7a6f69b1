/** What is left behind, or waited for, when a network fails at an awkward moment. */
import { createServer } from 'node:net';
import { setImmediate, setTimeout } from 'node:timers/promises';

import { openTransport, type OpenWire } from '@contextlora/runtime';
import {
  type ClusterPlan,
  controlMessages,
  type EngineStore,
  memoryStore,
  proposePlan,
  workInCluster,
} from '@contextlora/runtime/engine';
import { grpcWire } from '@contextlora/runtime/grpc';
import { connectNats, natsWire, openNatsStore } from '@contextlora/runtime/nats';
import { expect, test } from '@jest/globals';

import { describeWithNats, startNatsServer } from './nats-server.js';

const listener = { received: () => undefined, lost: () => undefined };

test('A gRPC wire that cannot tell where it listens listens no longer', async () => {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  const open = (announce: () => Promise<void>) =>
    grpcWire({
      device: 'a',
      peers: ['b'],
      host: '127.0.0.1',
      port,
      announce,
      endpointOf: () => new Promise(() => undefined),
    })(listener);
  await expect(open(() => Promise.reject(new Error('no store')))).rejects.toThrow('no store');
  await using wire = await open(() => Promise.resolve());
  expect(wire).toBeDefined();
});

test('A transport is closed in a second though a peer takes no goodbye', async () => {
  let hear: (packet: Uint8Array) => void = () => undefined;
  const stuck: OpenWire = (open) => {
    hear = (packet) => {
      open.received('b', packet);
    };
    return Promise.resolve({
      send: (_, __, lane) => (lane === 'bulk' ? new Promise(() => undefined) : Promise.resolve()),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    });
  };
  const options = { epoch: 1, session: 1, clock: () => performance.now() / 1000 };
  const transport = await openTransport(stuck, { ...options, device: 'a', peers: ['b'] });
  // A sign of life of the peer, so that it is worth a goodbye.
  const beating = await openTransport(
    () =>
      Promise.resolve({
        send(_, packet) {
          hear(packet);
          return Promise.resolve();
        },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
    { ...options, device: 'b', peers: ['a'] },
  );
  await setTimeout(250);
  const start = performance.now();
  await Promise.race([transport[Symbol.asyncDispose](), setTimeout(3000)]);
  expect(performance.now() - start).toBeLessThan(1000);
  await beating[Symbol.asyncDispose]();
});

test('A cluster that is gone while nobody asks for the next plan is told of when somebody does', async () => {
  const unhandled: unknown[] = [];
  const onUnhandled = (error: unknown) => unhandled.push(error);
  process.on('unhandledRejection', onUnhandled);
  const store = memoryStore();
  const messages = controlMessages({ cluster: 'home', device: 'a' });
  const plan: ClusterPlan = { run: 'r', coordinator: 'c', devices: ['b'], carrier: 'nats', work: null };
  await proposePlan({ store, messages }, plan, { after: 0 });
  const failing: EngineStore = {
    ...store,
    state: {
      ...store.state,
      async *watch(prefix, signal) {
        for await (const change of store.state.watch(prefix, signal)) {
          yield change;
          throw new Error('the store is gone');
        }
      },
    },
  };
  const work = workInCluster(
    { store: failing, messages },
    {
      open: () => Promise.reject(new Error('never')),
      serve: () => Promise.resolve(),
      signal: new AbortController().signal,
    },
  );
  expect(await work.next()).toMatchObject({ value: { type: 'spared' } });
  await setTimeout(20);
  await setImmediate();
  await expect(work.next()).rejects.toThrow('the store is gone');
  process.off('unhandledRejection', onUnhandled);
  expect(unhandled).toEqual([]);
});

describeWithNats('A NATS server', () => {
  test('that refuses the second connection of a wire has the first one closed', async () => {
    await using server = await startNatsServer();
    const opened: Awaited<ReturnType<typeof connectNats>>[] = [];
    const wire = natsWire({
      device: 'a',
      peers: ['b'],
      run: 'r',
      async connect() {
        if (opened.length > 0) throw new Error('one is enough');
        opened.push(await connectNats(server.address, { name: 'a', reconnect: false }));
        return opened[0]!;
      },
    });
    await expect(wire(listener)).rejects.toThrow('one is enough');
    expect(opened.map((connection) => connection.isClosed())).toEqual([true]);
  });

  test('that is gone for good ends what follows its changes in an error', async () => {
    const server = await startNatsServer();
    const connection = await connectNats(server.address, { name: 'a', reconnect: false });
    const store = await openNatsStore(connection, { cluster: 'home' });
    const { signal } = new AbortController();
    await store.state.write('x.y', Uint8Array.of(1));
    await store.log.append(Uint8Array.of(2));
    const followed = [store.state.watch('x', signal), store.log.follow(signal)];
    for (const changes of followed) expect((await changes.next()).done).toBe(false);
    const next = Promise.allSettled(followed.map((changes) => changes.next()));
    await server[Symbol.asyncDispose]();
    const gone = { status: 'rejected', reason: { code: 'RUNTIME_SERVER_UNREACHABLE' } };
    expect(await Promise.race([next, setTimeout(4000, 'still waiting')])).toMatchObject([gone, gone]);
  });
});
