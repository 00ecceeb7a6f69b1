import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

import {
  announceEndpoint,
  controlMessages,
  type Engine,
  type EngineStore,
  eventTeller,
  findEndpoint,
  followEvents,
  joinCluster,
  loadObject,
  type Member,
  memoryStore,
  proposePlan,
  type RefusedMessage,
  storeObject,
  watchMembers,
  watchPlans,
} from '@contextlora/runtime/engine';
import { connectNats, openNatsStore } from '@contextlora/runtime/nats';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { describeWithNats, startNatsServer, type TestServer } from './nats-server.js';

const clock = () => performance.now() / 1000;
const text = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString();
const from = (value: string) => new Uint8Array(Buffer.from(value));

/** The next values of an iteration, which goes on afterwards. */
async function take<T>(values: AsyncGenerator<T, void>, count: number): Promise<T[]> {
  const taken: T[] = [];
  while (taken.length < count) {
    const { value, done } = await values.next();
    if (done) break;
    taken.push(value);
  }
  return taken;
}

/** Waits until the members are as wanted; returns how long it took. */
async function untilMembers(
  members: AsyncGenerator<readonly Member[], void>,
  wanted: string,
): Promise<number> {
  const start = performance.now();
  for (;;) {
    const { value } = await members.next();
    if ((value ?? []).map(({ device, doing }) => `${device} ${doing}`).join(', ') === wanted)
      return performance.now() - start;
  }
}

function testEngine(name: string, open: (cluster: string) => Promise<EngineStore>): void {
  let clusters = 0;
  const withStore = async (use: (store: EngineStore, signal: AbortSignal) => Promise<void>) => {
    const stop = new AbortController();
    await using store = await open(`cluster ${++clusters}`);
    try {
      await use(store, stop.signal);
    } finally {
      stop.abort();
    }
  };
  const engineOf = (store: EngineStore, device: string, refused: RefusedMessage[] = []): Engine => ({
    store,
    messages: controlMessages({ cluster: 'home', device }),
    onRefused: (refusal) => refused.push(refusal),
  });

  describe(`The engine over ${name}`, () => {
    test('keeps the last value of a key, and lets one writer of two that compare win', () =>
      withStore(async ({ state }) => {
        expect(await state.read('a.b')).toBeUndefined();
        const outcomes = await Promise.all([1, 2, 3].map((n) => state.compareAndSet('a.b', from(`${n}`), 0)));
        expect(outcomes.filter((revision) => revision !== undefined)).toHaveLength(1);
        const entry = (await state.read('a.b'))!;
        expect(await state.compareAndSet('a.b', from('next'), entry.revision)).toBeGreaterThan(
          entry.revision,
        );
        expect(await state.compareAndSet('a.b', from('late'), entry.revision)).toBeUndefined();
        expect(text((await state.read('a.b'))?.value)).toBe('next');
        await state.remove('a.b');
        expect(await state.read('a.b')).toBeUndefined();
        expect(await state.compareAndSet('a.b', from('again'), 0)).toBeDefined();
      }));

    test('tells what is there, and then every change, under a prefix only', () =>
      withStore(async ({ state }, signal) => {
        await state.write('x.one', from('1'));
        await state.write('y.two', from('2'));
        const changes = state.watch('x', signal);
        expect(await take(changes, 1)).toMatchObject([{ key: 'x.one', value: from('1') }]);
        await state.write('y.three', from('3'));
        await state.remove('x.one');
        expect(await take(changes, 1)).toMatchObject([{ key: 'x.one', value: undefined }]);
        await changes.return();
      }));

    test('keeps events in order, for those who come later too', () =>
      withStore(async (store, signal) => {
        const tell = eventTeller(engineOf(store, 'orin'), { firstSequence: 5 });
        for (const step of [1, 2]) await tell({ step }, 3);
        const events = followEvents(engineOf(store, 'nano'), signal);
        expect(await take(events, 2)).toEqual([
          { device: 'orin', epoch: 3, event: { step: 1 } },
          { device: 'orin', epoch: 3, event: { step: 2 } },
        ]);
        await tell({ step: 3 }, 4);
        expect(await take(events, 1)).toEqual([{ device: 'orin', epoch: 4, event: { step: 3 } }]);
        await events.return();
      }));

    test('proves objects by their SHA-256', () =>
      withStore(async (store) => {
        const bytes = new Uint8Array(700_000).map((_, index) => index);
        const digest = await storeObject(store, bytes);
        expect(Buffer.compare(await loadObject(store, digest), bytes)).toBe(0);
        await store.objects.put(
          digest.sha256,
          bytes.map((byte, at) => (at === 5 ? 0 : byte)),
        );
        await expect(loadObject(store, digest)).rejects.toMatchObject({ code: 'RUNTIME_OBJECT_DAMAGED' });
        await expect(loadObject(store, { ...digest, sha256: '0'.repeat(64) })).rejects.toMatchObject({
          code: 'RUNTIME_OBJECT_DAMAGED',
        });
      }));

    test('sees devices join, work and leave, and a device that falls silent within a second', () =>
      withStore(async (store, signal) => {
        const members = watchMembers(engineOf(store, 'chief'), { clock, signal });
        const orin = await joinCluster(
          engineOf(store, 'orin'),
          { doing: 'waits', epoch: 0 },
          { firstSequence: 1 },
        );
        await untilMembers(members, 'orin waits');
        const nano = await joinCluster(
          engineOf(store, 'nano'),
          { doing: 'waits', epoch: 0 },
          { firstSequence: 1 },
        );
        await untilMembers(members, 'nano waits, orin waits');
        orin.update({ doing: 'trains', epoch: 1 });
        await untilMembers(members, 'nano waits, orin trains');
        await nano[Symbol.asyncDispose]();
        expect(await untilMembers(members, 'orin trains')).toBeLessThan(600);
        // A lease that nobody renews, as a process leaves it that was killed.
        const key = 'members.nano';
        const ghost = controlMessages({ cluster: 'home', device: 'nano' });
        for (const sequence of [50, 51])
          await store.leases.write(key, ghost.seal(key, { epoch: 0, sequence, body: { doing: 'haunts' } }));
        await untilMembers(members, 'nano haunts, orin trains');
        expect(await untilMembers(members, 'orin trains')).toBeLessThan(1000);
        await orin[Symbol.asyncDispose]();
        await members.return();
      }));

    test('does not count a lease that was there before and is never renewed', () =>
      withStore(async (store, signal) => {
        const key = 'members.nano';
        const ghost = controlMessages({ cluster: 'home', device: 'nano' });
        await store.leases.write(key, ghost.seal(key, { epoch: 0, sequence: 5, body: { doing: 'haunts' } }));
        const members = watchMembers(engineOf(store, 'chief'), { clock, signal });
        expect(await take(members, 1)).toEqual([[]]);
        await members.return();
      }));

    test('gives every epoch one plan, whoever proposes', () =>
      withStore(async (store, signal) => {
        const engines = ['a', 'b', 'c'].map((device) => engineOf(store, device));
        const outcomes = await Promise.all(
          engines.map((engine) => proposePlan(engine, { by: engine.messages.device }, { after: 0 })),
        );
        const winners = outcomes.filter((outcome) => outcome !== undefined);
        expect(winners).toHaveLength(1);
        const plans = watchPlans(engineOf(store, 'orin'), signal);
        expect(await take(plans, 1)).toEqual(winners);
        expect(await proposePlan(engines[0]!, 'late', { after: 0 })).toBeUndefined();
        const second = await proposePlan(engines[1]!, 'second', { after: 1 });
        expect(second).toEqual({ epoch: 2, by: 'b', plan: 'second' });
        expect(await take(plans, 1)).toEqual([second]);
        await plans.return();
      }));

    test('refuses a plan of an old epoch that comes again', () =>
      withStore(async (store, signal) => {
        const refused: RefusedMessage[] = [];
        const engine = engineOf(store, 'a');
        await proposePlan(engine, 'first', { after: 0 });
        const old = (await store.state.read('plan.current'))!.value;
        await proposePlan(engine, 'second', { after: 1 });
        const plans = watchPlans(engineOf(store, 'orin', refused), signal);
        await take(plans, 1);
        await store.state.write('plan.current', old);
        const next = take(plans, 1);
        while (refused.length === 0) await setTimeout(5);
        await proposePlan(engine, 'third', { after: 1 });
        await proposePlan(engine, 'fourth', { after: 2 });
        expect(await next).toMatchObject([{ epoch: 3, plan: 'fourth' }]);
        expect(refused.map(({ fault }) => fault)).toContain('epoch');
        await plans.return();
      }));

    test('finds where a device of the epoch listens, when it has told', () =>
      withStore(async (store, signal) => {
        const [orin, nano] = [engineOf(store, 'orin nx'), engineOf(store, 'nano')];
        const found = findEndpoint(nano, { epoch: 2, peer: 'orin nx', signal });
        await announceEndpoint(orin, { epoch: 1, endpoint: '127.0.0.1:1', sequence: 1 });
        await announceEndpoint(orin, { epoch: 2, endpoint: '127.0.0.1:2', sequence: 2 });
        expect(await found).toBe('127.0.0.1:2');
        const stop = new AbortController();
        const waiting = findEndpoint(nano, { epoch: 2, peer: 'tx2', signal: stop.signal });
        stop.abort();
        await expect(waiting).rejects.toMatchObject({ code: 'RUNTIME_ABORTED' });
      }));
  });
}

testEngine('memory', () => Promise.resolve(memoryStore()));

describeWithNats('NATS', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startNatsServer();
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  testEngine('NATS', async (cluster) => {
    const connection = await connectNats(server.address, { name: 'test' });
    const store = await openNatsStore(connection, { cluster });
    return { ...store, [Symbol.asyncDispose]: () => connection.close() };
  });

  test('Many devices make the store of a cluster at the same moment', async () => {
    for (let cluster = 0; cluster < 40; cluster++) {
      const connections = await Promise.all(
        Array.from({ length: 6 }, (_, i) => connectNats(server.address, { name: `d${i}` })),
      );
      const stores = await Promise.all(
        connections.map((connection) => openNatsStore(connection, { cluster: `made ${cluster}` })),
      );
      await stores[0]!.state.write('plan.current', from('one'));
      const read = await Promise.all(stores.map((store) => store.state.read('plan.current')));
      expect(read.map((entry) => text(entry?.value))).toEqual(stores.map(() => 'one'));
      await Promise.all(connections.map((connection) => connection.close()));
    }
  });

  test('The engine over NATS goes on when its server was gone and is back', async () => {
    const storeDirectory = mkdtempSync(join(tmpdir(), 'contextlora-store-'));
    let server = await startNatsServer({ storeDirectory });
    const { address } = server;
    const connections = await Promise.all([1, 2].map(() => connectNats(address, { name: 'test' })));
    const [orin, chief] = await Promise.all(
      connections.map(async (connection, index): Promise<Engine> => ({
        store: await openNatsStore(connection, { cluster: 'home' }),
        messages: controlMessages({ cluster: 'home', device: ['orin', 'chief'][index]! }),
      })),
    );
    const stop = new AbortController();
    const members = watchMembers(chief!, { clock, signal: stop.signal });
    const lease = await joinCluster(orin!, { doing: 'works', epoch: 1 }, { firstSequence: 1 });
    await untilMembers(members, 'orin works');
    await proposePlan(chief!, 'first', { after: 0 });
    await server[Symbol.asyncDispose]();
    await untilMembers(members, '');
    server = await startNatsServer({ storeDirectory, port: Number(address.split(':')[1]) });
    await untilMembers(members, 'orin works');
    expect(await proposePlan(chief!, 'second', { after: 1 })).toMatchObject({ epoch: 2 });
    stop.abort();
    await lease[Symbol.asyncDispose]();
    await members.return();
    await Promise.all(connections.map((connection) => connection.close()));
    await server[Symbol.asyncDispose]();
    rmSync(storeDirectory, { recursive: true, force: true });
  });
});
