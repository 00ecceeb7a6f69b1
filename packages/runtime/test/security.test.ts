import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

import { openTransport, type OpenWire, type TlsIdentity, type Transport } from '@contextlora/runtime';
import {
  announceEndpoint,
  controlMessages,
  type Engine,
  eventTeller,
  findEndpoint,
  followEvents,
  joinCluster,
  loadObject,
  proposePlan,
  storeObject,
  watchMembers,
  watchPlans,
} from '@contextlora/runtime/engine';
import { grpcWire } from '@contextlora/runtime/grpc';
import { connectNats, natsWire, openNatsStore, serverConfiguration } from '@contextlora/runtime/nats';
import { type ClusterSecrets, issueCertificates } from '@contextlora/runtime/security';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { describeWithNats, startNatsServer, type TestServer } from './nats-server.js';

const clock = () => performance.now() / 1000;
const issue = (cluster: string) =>
  issueCertificates({
    cluster,
    serverHosts: ['127.0.0.1', 'localhost'],
    serverPort: 4222,
    devices: [
      { name: 'chief', role: 'coordinator' },
      { name: 'nano', role: 'worker' },
      { name: 'orin', role: 'worker' },
    ],
    now: new Date(),
  });
let home: ClusterSecrets;
let foreign: ClusterSecrets;
const tlsOf = (name: string, secrets = home): TlsIdentity => secrets.devices.get(name)!.tls;
beforeAll(async () => {
  [home, foreign] = await Promise.all([issue('home'), issue('home')]);
});

const open = (device: string, peer: string, openWire: OpenWire): Promise<Transport> =>
  openTransport(openWire, { device, peers: [peer], epoch: 1, session: device.length, clock, joinSeconds: 1 });
/** The error that an exchange of two ends with, or undefined when it works. */
async function exchange(nano: Promise<Transport>, orin: Promise<Transport>): Promise<string | undefined> {
  await using a = await nano;
  await using b = await orin;
  try {
    const [, bytes] = await Promise.all([a.send('orin', 'x', Uint8Array.of(5)), b.receive('nano', 'x')]);
    return bytes[0] === 5 ? undefined : 'other bytes';
  } catch (error) {
    return (error as Error).message;
  }
}

/** No message may tell what only one device may know. */
function expectNoSecret(text: string): void {
  for (const { tls, signingKey } of home.devices.values())
    for (const pem of [tls.key, signingKey])
      for (const line of pem.split('\n').filter((part) => part.length > 20 && !part.startsWith('-----')))
        expect(text.includes(line)).toBe(false);
}

describe('Certificates', () => {
  test('are signed by the authority, name their device, and end when they should', () => {
    const { ca, certificate, key } = tlsOf('orin');
    const [authority, device] = [new X509Certificate(ca), new X509Certificate(certificate)];
    expect(device.verify(authority.publicKey)).toBe(true);
    expect(authority.ca && !device.ca).toBe(true);
    expect(device.subject).toBe('CN=orin');
    expect(device.checkHost('orin')).toBe('orin');
    expect(device.checkHost('nano')).toBeUndefined();
    expect(device.checkPrivateKey(createPrivateKey(key))).toBe(true);
    expect((Date.parse(device.validTo) - Date.parse(device.validFrom)) / 86_400_000).toBe(365);
    expect(new X509Certificate(tlsOf('orin', foreign).certificate).verify(authority.publicKey)).toBe(false);
  });
});

describe('A gRPC wire with TLS', () => {
  const wires = (
    identities: Readonly<Record<'nano' | 'orin', TlsIdentity | undefined>>,
  ): [Promise<Transport>, Promise<Transport>] => {
    const endpoints = new Map<string, string>();
    const wire = (device: 'nano' | 'orin', peer: string) =>
      grpcWire({
        device,
        peers: [peer],
        host: '127.0.0.1',
        ...(identities[device] && { tls: identities[device] }),
        announce(endpoint) {
          endpoints.set(device, endpoint);
          return Promise.resolve();
        },
        async endpointOf(name) {
          while (!endpoints.has(name)) await setTimeout(5);
          return endpoints.get(name)!;
        },
      });
    return [open('nano', 'orin', wire('nano', 'orin')), open('orin', 'nano', wire('orin', 'nano'))];
  };

  test('joins two devices of one cluster', async () => {
    expect(await exchange(...wires({ nano: tlsOf('nano'), orin: tlsOf('orin') }))).toBeUndefined();
  });

  test.each<[string, () => Readonly<Record<'nano' | 'orin', TlsIdentity | undefined>>]>([
    ['a peer of another authority', () => ({ nano: tlsOf('nano', foreign), orin: tlsOf('orin') })],
    ['a peer with the certificate of another device', () => ({ nano: tlsOf('chief'), orin: tlsOf('orin') })],
    [
      'a listening end with the certificate of another device',
      () => ({ nano: tlsOf('nano'), orin: tlsOf('chief') }),
    ],
    ['a peer without TLS', () => ({ nano: undefined, orin: tlsOf('orin') })],
    ['a listening end without TLS', () => ({ nano: tlsOf('nano'), orin: undefined })],
  ])('refuses %s', async (_, identities) => {
    const problem = await exchange(...wires(identities()));
    expect(problem).toMatch(/^runtime\/transport: (nano|orin) (was not heard of|cannot be reached)/);
    expectNoSecret(problem!);
  });

  test('is needed off loopback', async () => {
    const options = {
      device: 'a',
      peers: ['b'],
      announce: () => Promise.resolve(),
      endpointOf: () => Promise.resolve(''),
    };
    expect(() => grpcWire({ ...options, host: '192.0.2.1' })).toThrow(
      expect.objectContaining({ code: 'RUNTIME_INSECURE' }),
    );
    await expect(connectNats('192.0.2.1:4222', { name: 'a' })).rejects.toMatchObject({
      code: 'RUNTIME_INSECURE',
    });
    await expect(connectNats('[2001:db8::1]:4222', { name: 'a' })).rejects.toMatchObject({
      code: 'RUNTIME_INSECURE',
    });
    await expect(connectNats('nats://192.0.2.1', { name: 'a' })).rejects.toMatchObject({
      code: 'RUNTIME_INPUT_INVALID',
    });
  });
});

describeWithNats('A NATS server of a cluster with registered devices', () => {
  let directory: string;
  let server: TestServer;
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'contextlora-secured-'));
    const path = (name: string, content: string) => {
      writeFileSync(join(directory, name), content);
      return join(directory, name);
    };
    const { ca, certificate, key } = home.server;
    const configuration = serverConfiguration({
      listen: '127.0.0.1:-1',
      storeDirectory: directory,
      secured: {
        file: home.file,
        ca: path('ca.pem', ca),
        certificate: path('certificate.pem', certificate),
        key: path('key.pem', key),
      },
    });
    server = await startNatsServer({ configuration: path('nats.conf', configuration) });
    await using chief = await opened('chief');
    await openNatsStore(chief.connection, { cluster: 'home' });
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true, force: true });
  });
  const connect = (name: string, tls = tlsOf(name), reconnect = true) =>
    connectNats(server.address, { name, tls, reconnect });
  /** A connection that is closed at the end of the block. */
  const opened = async (name: string) => {
    const connection = await connect(name);
    return { connection, [Symbol.asyncDispose]: () => connection.close() };
  };
  const engineOf = async (
    name: string,
    connection: Awaited<ReturnType<typeof connect>>,
  ): Promise<Engine> => ({
    store: await openNatsStore(connection, { cluster: 'home', create: name === 'chief' }),
    messages: controlMessages({
      cluster: 'home',
      device: name,
      key: createPrivateKey(home.devices.get(name)!.signingKey),
      devices: home.file.devices,
    }),
  });
  const wire = (device: string, peer: string, as = device) =>
    open(
      device,
      peer,
      natsWire({ device, peers: [peer], run: 'r1', connect: () => connect(as, tlsOf(as), false) }),
    );

  test('lets its devices do all that they need', async () => {
    expect(await exchange(wire('nano', 'orin'), wire('orin', 'nano'))).toBeUndefined();
    await using chiefs = await opened('chief');
    await using orins = await opened('orin');
    const [chief, orin] = [
      await engineOf('chief', chiefs.connection),
      await engineOf('orin', orins.connection),
    ];
    const stop = new AbortController();
    const members = watchMembers(chief, { clock, signal: stop.signal });
    await using lease = await joinCluster(orin, { doing: 'waits', epoch: 0 }, { firstSequence: 1 });
    for await (const list of members) if (list.some(({ device }) => device === 'orin')) break;
    expect(lease).toBeDefined();
    await proposePlan(chief, { layers: 3 }, { after: 0 });
    for await (const plan of watchPlans(orin, stop.signal)) {
      expect(plan).toEqual({ epoch: 1, by: 'chief', plan: { layers: 3 } });
      break;
    }
    await announceEndpoint(orin, { epoch: 1, endpoint: '127.0.0.1:9', sequence: 1 });
    expect(await findEndpoint(chief, { epoch: 1, peer: 'orin', signal: stop.signal })).toBe('127.0.0.1:9');
    await eventTeller(orin, { firstSequence: 1 })('began', 1);
    for await (const event of followEvents(chief, stop.signal)) {
      expect(event).toEqual({ device: 'orin', epoch: 1, event: 'began' });
      break;
    }
    const digest = await storeObject(orin.store, new Uint8Array(300_000).fill(3));
    expect(await loadObject(chief.store, digest)).toHaveLength(300_000);
    stop.abort();
  });

  test('does not let a device speak for another, or a worker plan', async () => {
    expect(await exchange(wire('nano', 'orin', 'chief'), wire('orin', 'nano'))).toMatch(
      /nano .*cannot be|orin .*cannot be|was not heard of/,
    );
    await using orins = await opened('orin');
    const { store } = await engineOf('orin', orins.connection);
    const denied = { message: expect.stringMatching(/permission|timeout/i) as unknown as string };
    await expect(store.state.write('plan.current', new Uint8Array(3))).rejects.toMatchObject(denied);
    await expect(store.leases.write('members.nano', new Uint8Array(3))).rejects.toMatchObject(denied);
    await expect(openNatsStore(orins.connection, { cluster: 'other' })).rejects.toMatchObject({
      code: 'RUNTIME_SERVER_UNREACHABLE',
    });
  });

  test.each<[string, () => Promise<unknown>]>([
    ['a certificate of another authority', () => connect('orin', tlsOf('orin', foreign))],
    ['a certificate that names no device', () => connect('orin', home.server)],
    ['a connection without TLS', () => connectNats(server.address, { name: 'orin' })],
  ])('refuses %s', async (_, connecting) => {
    const error = (await connecting().then(
      () => undefined,
      (reason: unknown) => reason,
    )) as Error & { code?: string };
    expect(error.code).toBe('RUNTIME_SERVER_UNREACHABLE');
    expectNoSecret(`${error.message} ${error.stack ?? ''} ${String(error.cause)}`);
  });

  test('is not spoken to when it is another that has no TLS', async () => {
    await using open = await startNatsServer();
    await expect(connectNats(open.address, { name: 'orin', tls: tlsOf('orin') })).rejects.toMatchObject({
      code: 'RUNTIME_SERVER_UNREACHABLE',
    });
  });
});
