import { readFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';

import { createServer, openApiDocument, type Server, type ServerOptions } from '@contextlora/serve';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import OpenAI from 'openai';

import { low, type ServedLight, trainServedLight } from './served-light.js';

let light: ServedLight;
beforeAll(async () => {
  light = await trainServedLight();
});
afterAll(() => light.dispose());

const key = 'a-key-of-this-test-1';
const open = (options: Partial<ServerOptions> = {}): Server =>
  createServer(light.base, light.run, {
    clock: () => performance.now() / 1000,
    now: () => new Date(1.7e12),
    ...options,
  });
/** Closed after each test, also after one that fails: a server that listens keeps the process alive. */
const opened: Server[] = [];
afterEach(async () => {
  for (const server of opened.splice(0)) await server.close();
});
const listening = async (options: Partial<ServerOptions> = {}) => {
  const server = open(options);
  opened.push(server);
  const { url } = await server.listen({ host: '127.0.0.1', port: 0 });
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 });
  return { server, url, client };
};
const user = (content: string) => [{ role: 'user' as const, content }];
/** An answer of 200 characters that few tokens fit. */
const longAnswer = {
  model: 'note',
  messages: user(low),
  max_tokens: 250,
  response_format: {
    type: 'json_schema' as const,
    json_schema: { name: 'texts', schema: { const: 'zqxj'.repeat(50) } },
  },
};
const statusOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 200,
    (error: unknown) => (error as { status?: number }).status ?? String(error),
  );
const metric = async (url: string, pattern: RegExp) =>
  Number(pattern.exec(await (await fetch(`${url}/metrics`)).text())?.[1] ?? NaN);
const until = async (isTrue: () => boolean) => {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 2));
};

test('questions of different tasks that come together share passes, and are answered as each is alone', async () => {
  const { server, url } = await listening();
  const asked = Array.from({ length: 12 }, (_, i) => ({
    model: ['light', 'lamp', 'note'][i % 3] ?? '',
    messages: user(`the light is ${i % 2 === 0 ? 'low' : 'bright'} .`),
  }));
  const ask = async (one: (typeof asked)[number]) => {
    const response = await server.fetch(
      new Request('http://localhost/v1/chat/completions', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify(one),
      }),
    );
    return ((await response.json()) as OpenAI.ChatCompletion).choices[0]?.message.content;
  };
  const alone = [];
  for (const one of asked) alone.push(await ask(one));
  const passes = async () => [
    await metric(url, /pass_size_count\{kind="labels"\} (\d+)/),
    await metric(url, /pass_size_count\{kind="tokens"\} (\d+)/),
  ];
  const before = await passes();
  expect(await Promise.all(asked.map(ask))).toEqual(alone);
  const after = await passes();
  // One after the other they took a pass for every choice, and for every token.
  for (const [i, count] of after.entries()) expect(count - before[i]!).toBeLessThan(before[i]! / 2);
});

describe('access', () => {
  test('needs one of the keys where there are keys, except for the health of the server', async () => {
    const { url, client } = await listening({ keys: ['another-key-of-this-test', key] });
    expect(await statusOf(client.models.list())).toBe(200);
    for (const authorization of [
      '',
      'Bearer ',
      `Bearer ${key}x`,
      `Basic ${key}`,
      'Bearer another-key-of-this-tes',
    ]) {
      const response = await fetch(`${url}/v1/models`, { headers: { Authorization: authorization } });
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toBe('Bearer');
      const text = await response.text();
      expect(text).toContain('invalid_api_key');
      expect(text).not.toContain(key);
    }
    expect((await fetch(`${url}/metrics`)).status).toBe(401);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  });

  test('without keys is for this machine alone: other addresses and names of hosts are refused', async () => {
    const { url } = await listening();
    await expect(open().listen({ host: '0.0.0.0', port: 0 })).rejects.toMatchObject({
      code: 'SERVE_INSECURE',
    });
    const { port } = new URL(url);
    const status = await new Promise<number | undefined>((resolve, reject) => {
      httpRequest({ port, host: '127.0.0.1', path: '/v1/models', headers: { Host: `site.example:${port}` } })
        .on('response', (response) => {
          response.resume();
          resolve(response.statusCode);
        })
        .on('error', reject)
        .end();
    });
    expect(status).toBe(403);
    await expect(open().listen({ host: '127.0.0.1', port: Number(port) })).rejects.toMatchObject({
      code: 'SERVE_ADDRESS_UNAVAILABLE',
    });
  });

  test('keys that could be guessed and limits that make no sense are refused, all at once', () => {
    expect(() => open({ keys: ['short', key], maximumSeconds: -1, batchSize: 1.5 })).toThrow(
      /^serve\/createServer: maximumSeconds must be a number above 0, got -1; batchSize must be a whole number above 0, got 1.5; key 1 must have at least 16/,
    );
  });
});

describe('limits', () => {
  test('one request more than may be under way gets 429 and may try again', async () => {
    const { server, client } = await listening({ maximumRequests: 2 });
    const ask = () => client.chat.completions.create(longAnswer);
    const [first, second] = [statusOf(ask()), statusOf(ask())];
    await until(() => server.inFlight === 2);
    const third = await ask().catch(
      (error: unknown) => error as { status: number; headers: Headers; code: string },
    );
    expect(third).toMatchObject({ status: 429, code: 'server_busy' });
    expect((third as { headers: Headers }).headers.get('retry-after')).toBe('1');
    expect([await first, await second]).toEqual([200, 200]);
    expect(await statusOf(ask())).toBe(200);
  });

  test('an answer that takes too long gets 503, also in a stream, and its work stops', async () => {
    const { server, client, url } = await listening({ maximumSeconds: 0.05 });
    await expect(client.chat.completions.create(longAnswer)).rejects.toMatchObject({
      status: 503,
      code: 'timeout',
    });
    const stream = await client.chat.completions.create({ ...longAnswer, stream: true });
    const read = async () => {
      for await (const { choices } of stream) expect(choices).toHaveLength(1);
    };
    await expect(read()).rejects.toThrow('no answer within 0.05 s');
    await until(() => server.inFlight === 0);
    const passes = () => metric(url, /pass_size_count\{kind="tokens"\} (\d+)/);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const stopped = await passes();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await passes()).toBe(stopped);
  });

  test('a caller who leaves makes room, and nothing more is written for them', async () => {
    const { server, client, url } = await listening();
    const leaving = new AbortController();
    const left = statusOf(client.chat.completions.create(longAnswer, { signal: leaving.signal }));
    await until(() => server.inFlight === 1);
    leaving.abort();
    await left;
    await until(() => server.inFlight === 0);
    expect(await metric(url, /requests_total\{task="note",status="499"\} (\d+)/)).toBe(1);
  });
});

describe('shutdown', () => {
  test('finishes what is under way, in whole and in a stream, and lets nobody in any more', async () => {
    const { server, client, url } = await listening();
    const whole = client.chat.completions.create(longAnswer);
    const stream = await client.chat.completions.create({ ...longAnswer, stream: true });
    const read = (async () => {
      const pieces: string[] = [];
      for await (const { choices } of stream) pieces.push(choices[0]?.delta.content ?? '');
      return pieces.join('');
    })();
    await until(() => server.inFlight === 2);
    const closed = server.close();
    expect((await server.fetch(new Request('http://localhost/healthz'))).status).toBe(503);
    expect((await server.fetch(chatRequest())).status).toBe(503);
    expect((await whole).choices[0]?.message.content).toBe(await read);
    expect(await closed).toEqual({ refused: 0 });
    await expect(fetch(`${url}/healthz`)).rejects.toThrow();
  });

  test('refuses what takes longer than it waits', async () => {
    const { server, client } = await listening({ closeSeconds: 0.02 });
    const status = statusOf(client.chat.completions.create(longAnswer));
    await until(() => server.inFlight === 1);
    expect(await server.close()).toEqual({ refused: 1 });
    expect(await status).toBe(503);
  });

  const chatRequest = () =>
    new Request('http://localhost/v1/chat/completions', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ model: 'light', messages: user(low) }),
    });
});

test('the OpenAPI document in the package is that which the server sends, but for the names of its tasks', async () => {
  const file = JSON.parse(await readFile(new URL('../openapi.json', import.meta.url), 'utf8')) as unknown;
  expect(file).toEqual(JSON.parse(JSON.stringify(openApiDocument())));
  const response = await open().fetch(new Request('http://localhost/openapi.json'));
  const tasks = light.run.trainedTasks;
  const sent = await response.text();
  expect(sent).toBe(JSON.stringify(openApiDocument({ tasks })));
  expect(sent).toContain(`"model":{"type":"string","enum":${JSON.stringify(tasks)}}`);
});
