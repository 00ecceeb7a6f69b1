import { createHash } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { controlMessages, joinCluster, proposePlan } from '@contextlora/runtime/engine';
import { connectNats, openNatsStore } from '@contextlora/runtime/nats';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { describeWithNats, environment, whileUp } from './cluster-up.js';
import { runCommand } from './run-command.js';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'contextlora-cluster-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});
const init = (where: string, ...more: string[]) =>
  runCommand([
    'cluster',
    'init',
    where,
    '--device',
    'orin',
    '--device',
    'nano',
    '--host',
    '127.0.0.1',
    ...more,
  ]);
const filesBelow = (where: string) =>
  (readdirSync(where, { recursive: true }) as string[]).filter((name) =>
    statSync(join(where, name)).isFile(),
  );

describe('contextlora cluster init', () => {
  test('writes a directory for every device that only its owner can read, and prints no key', async () => {
    const where = join(directory, 'home');
    const outcome = await init(where);
    expect(outcome).toMatchObject({ code: 0, err: '' });
    expect(filesBelow(where).sort()).toEqual(
      [
        ...['ca.pem', 'cluster.json', 'server/certificate.pem', 'server/key.pem'],
        ...['coordinator', 'nano', 'orin'].flatMap((device) =>
          ['ca.pem', 'certificate.pem', 'cluster.json', 'key.pem', 'signing-key.pem'].map(
            (name) => `devices/${device}/${name}`,
          ),
        ),
      ].sort(),
    );
    for (const name of filesBelow(where)) expect(statSync(join(where, name)).mode & 0o077).toBe(0);
    expect(outcome.out).not.toContain('KEY');
    expect((await init(where)).err).toMatch(/is not empty/);
  });

  test.each([
    [['--device', 'a b'], /letters, digits and hyphens only, got a b/],
    [['--device', 'coordinator'], /coordinator is named twice/],
  ])('refuses %p', async (more, message) => {
    const outcome = await init(join(directory, 'wrong'), ...more);
    expect(outcome.code).toBe(2);
    expect(outcome.err).toMatch(message);
  });
});

describe('A device directory', () => {
  test('is refused with keys that others can read, and what is in a key is never shown', async () => {
    const where = join(directory, 'open');
    await init(where);
    const identity = join(where, 'devices/orin');
    chmodSync(join(identity, 'key.pem'), 0o644);
    const status = () => runCommand(['cluster', 'status', '--identity', identity, '--server', '127.0.0.1:1']);
    expect(await status()).toMatchObject({ code: 2, err: expect.stringContaining('chmod 600') as unknown });
    chmodSync(join(identity, 'key.pem'), 0o600);
    writeFileSync(join(identity, 'signing-key.pem'), 'SECRET-IN-A-BROKEN-FILE', { mode: 0o600 });
    const broken = await status();
    expect(broken.err).toMatch(/signing-key.pem is not in PEM format/);
    expect(broken.err).not.toContain('SECRET');
    writeFileSync(join(identity, 'cluster.json'), '{"version":1}');
    expect((await status()).err).toMatch(/"cluster" must be a name[\s\S]*"devices" must be a list/);
  });

  test('is needed off this machine', async () => {
    const outcome = await runCommand(['cluster', 'status', '--server', '192.0.2.1:4222']);
    expect(outcome).toMatchObject({
      code: 2,
      err: expect.stringMatching(/without TLS is refused/) as unknown,
    });
  });
});

describeWithNats('contextlora cluster up and status', () => {
  test('show the devices of a development server and its plan, and end with Ctrl-C', async () => {
    const outcome = await whileUp([join(directory, 'development')], async (address) => {
      const status = (...more: string[]) => runCommand(['cluster', 'status', '--server', address, ...more]);
      expect((await status()).out).toBe(
        `Cluster development at ${address}: no plan yet\nNo device is there; "contextlora worker" adds one.\n`,
      );
      const connection = await connectNats(address, { name: 'orin' });
      const store = await openNatsStore(connection, { cluster: 'development' });
      const messages = controlMessages({ cluster: 'development', device: 'orin' });
      const lease = await joinCluster(
        { store, messages },
        { doing: 'trains road', epoch: 1 },
        { firstSequence: 1 },
      );
      await proposePlan({ store, messages }, {}, { after: 0 });
      expect((await status()).out).toBe(
        [
          `Cluster development at ${address}: plan 1, made by orin`,
          'device  plan         does',
          '------  ----  -----------',
          'orin       1  trains road',
          '',
        ].join('\n'),
      );
      expect(JSON.parse((await status('--json')).out)).toEqual({
        cluster: 'development',
        server: address,
        devices: [{ device: 'orin', epoch: 1, doing: 'trains road', isThere: true }],
        plan: { epoch: 1, by: 'orin' },
        refused: {},
      });
      const watched = await runCommand(['cluster', 'status', '--server', address, '--watch', '--json'], {
        onOutput(out, interrupt) {
          if (out.includes('trains road') && out.includes('"plan":{')) interrupt();
        },
      });
      expect(watched.code).toBe(130);
      await lease[Symbol.asyncDispose]();
      await connection.close();
    });
    expect(outcome).toMatchObject({ code: 130, err: '' });
  });

  test('end with what is wrong when a plan in the store has changed', async () => {
    await whileUp([join(directory, 'changed')], async (address) => {
      const connection = await connectNats(address, { name: 'orin' });
      const store = await openNatsStore(connection, { cluster: 'development' });
      const messages = controlMessages({ cluster: 'development', device: 'orin' });
      await proposePlan({ store, messages }, {}, { after: 0 });
      const sha256 = createHash('sha256').update('{}').digest('hex');
      await store.objects.put(sha256, Buffer.from('[]'));
      for (const more of [[], ['--watch']])
        expect(await runCommand(['cluster', 'status', '--server', address, ...more])).toMatchObject({
          code: 2,
          err: expect.stringMatching(/has changed in the store/) as unknown,
        });
      await connection.close();
    });
  });

  test('serve registered devices only, over TLS', async () => {
    const where = join(directory, 'secured');
    await init(where);
    const outcome = await whileUp([where], async (address) => {
      const status = (device: string) =>
        runCommand(['cluster', 'status', '--server', address, '--identity', join(where, 'devices', device)]);
      expect((await status('nano')).out).toBe(
        [
          `Cluster home at ${address}: no plan yet`,
          'device  plan          does',
          '------  ----  ------------',
          'orin       –  is not there',
          'nano       –  is not there',
          '',
        ].join('\n'),
      );
      expect(await runCommand(['cluster', 'status', '--server', address])).toMatchObject({ code: 2 });
    });
    expect(outcome.code).toBe(130);
    expect(outcome.out).toContain('with TLS');
    expect(readFileSync(join(where, 'nats.conf'), 'utf8')).toContain('verify_and_map');
  });

  test('say what is wrong when the server cannot start', async () => {
    await whileUp([join(directory, 'first')], async (address) => {
      const second = await runCommand(
        ['cluster', 'up', join(directory, 'second'), '--port', address.split(':')[1]!],
        {
          environment,
        },
      );
      expect(second).toMatchObject({ code: 2, err: expect.stringMatching(/does not start/) as unknown });
    });
  });
});
