import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { trainLight, writeLightTasks } from './light-run.js';
import { runCommand, type RunOptions } from './run-command.js';

let directory: string;
const at = (...parts: string[]) => join(directory, ...parts);
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'contextlora-serve-'));
  const taskFile = await writeLightTasks(at('light'));
  expect(await trainLight(taskFile, at('run'))).toMatchObject({ code: 0 });
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** Serves the run until `body` is done with it, then presses Ctrl-C. */
async function serving(
  args: readonly string[],
  body: (url: string) => Promise<void>,
  options: RunOptions = {},
) {
  let begun: Promise<void> | undefined;
  const outcome = await runCommand(['serve', at('run'), '--port', '0', ...args], {
    ...options,
    onOutput(out, interrupt) {
      const [, url] = /Serving .* at (http:\S+)\/v1/.exec(out) ?? [];
      if (url !== undefined)
        begun ??= body(url).finally(() => {
          interrupt();
        });
    },
  });
  await begun;
  return outcome;
}
const ask = (url: string, headers: Record<string, string> = {}) =>
  fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify({ model: 'lamp', messages: [{ role: 'user', content: 'the light is low .' }] }),
  });

test('serve answers over HTTP as ask does, and ends with Ctrl-C after what is under way', async () => {
  let last: Promise<Response> | undefined;
  const { code, out, err } = await serving([], async (url) => {
    const served = (await (await ask(url)).json()) as { contextlora: { answers: unknown } };
    const asked = await runCommand(['ask', at('run'), '--text', 'the light is low .', '--json']);
    expect(served.contextlora.answers).toEqual((JSON.parse(asked.out) as { answers: unknown }).answers);
    last = ask(url);
    const inFlight = async () => /in_flight (\d+)/.exec(await (await fetch(`${url}/metrics`)).text())?.[1];
    while ((await inFlight()) === '0') await new Promise((resolve) => setTimeout(resolve, 1));
  });
  expect({ code, err }).toEqual({ code: 130, err: '' });
  expect(out).toMatch(
    /^Serving light, lamp at http:\/\/127\.0\.0\.1:\d+\/v1 for this machine, without a key\./,
  );
  expect(out).toMatch(/every request that was let in has its answer\.\n$/);
  expect((await last)?.status).toBe(200);
});

test('serve takes keys from a file and the environment and prints none, and refuses other addresses without', async () => {
  const [first, second] = ['first-key-of-a-test', 'second-key-of-a-test'];
  await writeFile(at('keys'), `# of a test\n${first}\n\n`);
  const { code, out, err } = await serving(
    ['--keys', at('keys')],
    async (url) => {
      for (const key of [first, second])
        expect((await ask(url, { Authorization: `Bearer ${key}` })).status).toBe(200);
      expect((await ask(url)).status).toBe(401);
    },
    { environment: { CONTEXTLORA_API_KEYS: second } },
  );
  expect({ code, err }).toEqual({ code: 130, err: '' });
  expect(out).toContain('for whoever has one of 2 keys');
  expect(out).not.toContain(first);
  const refused = await runCommand(['serve', at('run'), '--host', '0.0.0.0', '--port', '0'], {
    environment: {},
  });
  expect(refused).toMatchObject({ code: 2, err: expect.stringMatching(/refused without keys/) });
  const missing = await runCommand(['serve', at('run'), '--keys', at('nowhere')]);
  expect(missing).toMatchObject({ code: 2, err: expect.stringMatching(/cannot read the keys in .*nowhere/) });
});
