import { generateKeyPairSync } from 'node:crypto';

import {
  controlMessages,
  type Engine,
  type EngineStore,
  joinCluster,
  memoryStore,
  parseClusterFile,
  proposePlan,
  type RefusedMessage,
  type RegisteredDevice,
  watchMembers,
  watchPlans,
} from '@contextlora/runtime/engine';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

const keysOf = (name: string, role: RegisteredDevice['role']) => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const spki = publicKey.export({ format: 'der', type: 'spki' }).toString('base64');
  return { key: privateKey, registered: { name, role, publicKey: spki } };
};
const chief = keysOf('chief', 'coordinator');
const orin = keysOf('orin', 'worker');
const stranger = keysOf('stranger', 'coordinator');
const devices = [chief.registered, orin.registered];
const messagesOf = (device: string, key = orin.key, cluster = 'home') =>
  controlMessages({ cluster, device, key, devices });
const reader = messagesOf('chief', chief.key);
const message = { epoch: 2, sequence: 8, body: { doing: 'trains' } };
const place = 'members.orin';
const sealed = messagesOf('orin').seal(place, message);

describe('Control messages', () => {
  test('say who sent them, and what', () => {
    expect(reader.open(place, sealed)).toEqual({ sender: 'orin', ...message });
  });

  test.each<[string, string, Uint8Array, string?]>([
    [
      'unknown-device',
      'a key that is not registered',
      messagesOf('stranger', stranger.key).seal(place, message),
    ],
    [
      'signature',
      'a registered name over another key',
      messagesOf('orin', stranger.key).seal(place, message),
    ],
    ['signature', "another device's key", messagesOf('orin', chief.key).seal(place, message)],
    ['downgrade', 'no signature', controlMessages({ cluster: 'home', device: 'orin' }).seal(place, message)],
    ['misplaced', 'another place', sealed, 'members.nano'],
    ['misplaced', 'another cluster', messagesOf('orin', orin.key, 'work').seal(place, message)],
    [
      'oversized',
      'more than 64 KiB',
      messagesOf('orin').seal(place, { ...message, body: 'x'.repeat(70_000) }),
    ],
    ['malformed', 'no bytes', new Uint8Array()],
    ['malformed', 'an unknown form', sealed.map((byte, at) => (at === 0 ? 7 : byte))],
  ])('are refused as %s for %s', (fault, _, bytes, where = place) => {
    expect(reader.open(where, bytes)).toMatchObject({ fault, place: where });
  });

  test('that are signed are refused where there is no key to check them with', () => {
    const open = controlMessages({ cluster: 'home', device: 'nano' });
    expect(open.open(place, sealed)).toMatchObject({ fault: 'downgrade' });
  });

  test('are refused when any bit is flipped, and random bytes always, without an exception', () => {
    fc.assert(
      fc.property(fc.nat(sealed.length - 1), fc.nat(7), (at, bit) => {
        const bytes = Uint8Array.from(sealed);
        bytes[at]! ^= 1 << bit;
        expect(reader.open(place, bytes)).toHaveProperty('fault');
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(reader.open(place, Uint8Array.of(1, ...bytes))).toHaveProperty('fault');
        expect(
          controlMessages({ cluster: 'home', device: 'nano' }).open(place, Uint8Array.of(0, ...bytes)),
        ).toHaveProperty('fault');
      }),
    );
  });
});

describe('A cluster with registered devices', () => {
  const engineOf = (
    store: EngineStore,
    device: string,
    key = orin.key,
    refused: RefusedMessage[] = [],
  ): Engine => ({
    store,
    messages: messagesOf(device, key),
    onRefused: (refusal) => refused.push(refusal),
  });
  const faults = (refused: readonly RefusedMessage[]) => [...new Set(refused.map(({ fault }) => fault))];

  test('lets in nobody else, and takes no repeated lease for a sign of life', async () => {
    const store = memoryStore();
    const refused: RefusedMessage[] = [];
    const stop = new AbortController();
    const clock = () => performance.now() / 1000;
    const members = watchMembers(engineOf(store, 'chief', chief.key, refused), {
      clock,
      signal: stop.signal,
    });
    await using orinLease = await joinCluster(
      engineOf(store, 'orin'),
      { doing: 'a', epoch: 0 },
      { firstSequence: 9 },
    );
    await using strangerLease = await joinCluster(
      engineOf(store, 'stranger', stranger.key),
      { doing: 'b', epoch: 0 },
      { firstSequence: 9 },
    );
    const names: string[][] = [];
    for await (const list of members) {
      names.push(list.map(({ device }) => device));
      if (list.length > 0) break;
    }
    expect([names.at(-1), faults(refused)]).toEqual([['orin'], ['unknown-device']]);
    await orinLease[Symbol.asyncDispose]();
    await strangerLease[Symbol.asyncDispose]();

    refused.length = 0;
    const old = messagesOf('orin').seal(place, { epoch: 0, sequence: 1, body: { doing: 'a' } });
    const again = watchMembers(engineOf(store, 'chief', chief.key, refused), { clock, signal: stop.signal });
    const lists: number[] = [];
    const counting = (async () => {
      for await (const list of again) lists.push(list.length);
    })();
    const repeating = setInterval(() => void store.leases.write(place, old), 20);
    await new Promise((resolve) => setTimeout(resolve, 500));
    clearInterval(repeating);
    stop.abort();
    await counting;
    expect([lists, faults(refused)]).toEqual([[0], ['replayed']]);
  });

  test('takes plans from coordinators only', async () => {
    const store = memoryStore();
    const refused: RefusedMessage[] = [];
    await proposePlan(engineOf(store, 'orin'), 'mine', { after: 0 });
    const stop = new AbortController();
    const plans = watchPlans(engineOf(store, 'orin', orin.key, refused), stop.signal);
    const first = plans.next();
    while (refused.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(faults(refused)).toEqual(['role']);
    await proposePlan(engineOf(store, 'chief', chief.key), 'ours', { after: 1 });
    expect(await first).toMatchObject({ value: { epoch: 2, by: 'chief', plan: 'ours' } });
    stop.abort();
    await plans.return();
  });

  test('is described by a file whose mistakes are told at once', () => {
    const file = { version: 1, cluster: 'home', server: 'a:1', devices };
    expect(parseClusterFile(JSON.stringify(file), 'cluster.json')).toEqual(file);
    const wrong = {
      version: 2,
      cluster: '',
      server: 'a:1',
      devices: [
        { ...devices[0], role: 'boss' },
        { ...devices[0], publicKey: 'AAAA' },
      ],
    };
    expect(() => parseClusterFile(JSON.stringify(wrong), 'cluster.json')).toThrow(
      /version must be 1, got 2[\s\S]*"cluster" must be a name[\s\S]*devices\[0\].role[\s\S]*second device chief[\s\S]*devices\[1\].publicKey/,
    );
  });
});
