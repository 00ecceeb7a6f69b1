import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { RunView } from '@contextlora/dashboard';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { trainLight, writeLightTasks } from './light-run.js';
import { runCommand as run } from './run-command.js';

let directory: string;
let taskFile: string;
const at = (...parts: string[]) => join(directory, ...parts);
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'contextlora-dashboard-test-'));
  taskFile = await writeLightTasks(at('light'));
  let isStopped = false;
  const stopped = await trainLight(taskFile, at('stopped'), {
    onOutput(out, interrupt) {
      if (isStopped || !out.includes('certificate: light')) return;
      isStopped = true;
      interrupt();
    },
  });
  expect(stopped.code).toBe(130);
  await cp(at('stopped'), at('run'), { recursive: true });
  expect(await trainLight(taskFile, at('run'), { more: ['--resume'] })).toMatchObject({ code: 0, err: '' });
});
afterAll(() => rm(directory, { recursive: true, force: true }));

interface PageData {
  readonly view: RunView;
  readonly isLive: boolean;
  readonly canAsk: boolean;
}
const dataOf = (page: string): PageData =>
  JSON.parse(/<script id="data" type="application\/json">(.*?)<\/script>/s.exec(page)?.[1] ?? '') as PageData;

/** Serves the page of a run while `use` is at work, then stops the command as Ctrl-C does. */
async function serving(
  args: readonly string[],
  use: (address: string) => Promise<void>,
): Promise<{ readonly code: number; readonly err: string }> {
  let used: Promise<void> | undefined;
  const outcome = await run(['dashboard', ...args], {
    onOutput(out, interrupt) {
      const address = /http:\/\/127\.0\.0\.1:\d+\//.exec(out)?.[0];
      if (used || address === undefined) return;
      used = use(address).finally(interrupt);
      used.catch(() => undefined);
    },
  });
  await used;
  return outcome;
}

const askOf = async (address: string, body: string, origin = address.slice(0, -1)) => {
  const response = await fetch(`${address}ask`, { method: 'POST', headers: { origin }, body });
  return { status: response.status, text: await response.text() };
};

describe('contextlora dashboard', () => {
  test('writes a finished run into one file that loads and sends nothing', async () => {
    const out = at('run.html');
    expect(await run(['dashboard', at('run'), '--out', out])).toMatchObject({ code: 0, err: '' });
    const page = await readFile(out, 'utf8');
    expect(page).toContain("connect-src 'none'");
    expect(page).not.toMatch(/(?:src|href)="(?!data:)/);
    const { view, isLive, canAsk } = dataOf(page);
    expect({ isLive, canAsk }).toEqual({ isLive: false, canAsk: false });
    expect(view).toMatchObject({
      name: 'Light',
      isFinished: true,
      phases: [{ hasEnded: true }, { hasEnded: true }],
    });
    expect(view.tasks).toMatchObject([
      { id: 'light', dependsOn: [], state: 'trained', steps: 16, totalSteps: 16, isUnchanged: true },
      {
        id: 'lamp',
        dependsOn: ['light'],
        state: 'trained',
        steps: 16,
        labels: ['yes', 'no'],
        isUnchanged: true,
      },
    ]);
    expect(view.tasks[0]?.losses).toHaveLength(16);
    expect(view.tasks[0]?.accuracies).toContainEqual({ test: 'test', when: 'final', accuracy: 1 });
    expect(view.linears[0]?.spans).toEqual({ light: { start: 0, end: 4 }, lamp: { start: 4, end: 8 } });
  });

  test('writes equal bytes for an equal run', async () => {
    const pages = [at('a.html'), at('b.html')];
    for (const out of pages) await run(['dashboard', at('run'), '--out', out]);
    const [a, b] = await Promise.all(pages.map((path) => readFile(path)));
    expect(a).toEqual(b);
  });

  test('shows how far a stopped run is, and sends what changes while it goes on', async () => {
    const { code, err } = await serving([at('stopped')], async (address) => {
      const { view, isLive, canAsk } = dataOf(await (await fetch(address)).text());
      expect({ isLive, canAsk }).toEqual({ isLive: true, canAsk: true });
      expect(view.tasks.map(({ state }) => state)).toEqual(['trained', 'waiting']);
      const events = await fetch(`${address}events`);
      const last = lastEvent(events, ({ isFinished }) => isFinished);
      expect(await trainLight(taskFile, at('stopped'), { more: ['--resume'] })).toMatchObject({ code: 0 });
      expect((await last).tasks.map(({ state }) => state)).toEqual(['trained', 'trained']);
    });
    expect({ code, err: err.replace(/^Stopped.*\n/, '') }).toEqual({ code: 130, err: '' });
  });

  test('answers a question, and says why it cannot', async () => {
    await serving([at('run')], async (address) => {
      const question = { task: 'lamp', text: 'the light is low .' };
      const { status, text } = await askOf(address, JSON.stringify(question));
      expect(status).toBe(200);
      expect(JSON.parse(text)).toMatchObject({
        answers: [
          { task: 'light', answer: 'night' },
          {
            task: 'lamp',
            answer: 'yes',
            labels: [
              ['yes', expect.any(Number)],
              ['no', expect.any(Number)],
            ],
          },
        ],
      });
      const refusals = {
        '{"task":"lamp"}': /slot \{text\}, but no text is given/,
        '{"task":"lam","text":"x"}': /no task "lam"; did you mean "lamp"/,
        '{"task":"lamp","text":"x","image":"data:image/png;base64,AAAA"}': /image/,
        '{"task":"lamp","txt":"x"}': /txt/,
        '{"task":': /not JSON/,
      };
      for (const [body, problem] of Object.entries(refusals)) {
        const refused = await askOf(address, body);
        expect(refused.status).toBe(422);
        expect((JSON.parse(refused.text) as { problem: string }).problem).toMatch(problem);
      }
    });
  });

  test("holds a question to the limits of the run's rows", async () => {
    const trained = await trainLight(taskFile, at('short'), { more: ['--maximum-tokens', '24'] });
    expect(trained).toMatchObject({ code: 0, err: '' });
    await serving([at('short')], async (address) => {
      const text = 'the light is low . '.repeat(10);
      const refused = await askOf(address, JSON.stringify({ task: 'light', text }));
      expect(refused).toMatchObject({ status: 422, text: expect.stringMatching(/24/) as unknown });
      expect((await askOf(address, '{"task":"light","text":"the light is low ."}')).status).toBe(200);
    });
  });

  test('answers no page of anybody else', async () => {
    await serving([at('run')], async (address) => {
      const question = '{"task":"lamp","text":"the light is low ."}';
      expect((await askOf(address, question, 'http://elsewhere.test')).status).toBe(403);
      const port = new URL(address).port;
      const { request } = await import('node:http');
      const status = await new Promise((resolve, reject) => {
        request(
          { host: '127.0.0.1', port, path: '/', headers: { host: `elsewhere.test:${port}` } },
          (response) => {
            response.resume();
            resolve(response.statusCode);
          },
        )
          .on('error', reject)
          .end();
      });
      expect(status).toBe(403);
      expect((await fetch(`${address}../run.json`)).status).toBe(404);
    });
  });

  test('refuses what is no run, no plan and no free port in one line', async () => {
    expect(await run(['dashboard', at('light')])).toMatchObject({
      code: 2,
      err: expect.stringMatching(/is not the directory of a run/),
    });
    await writeFile(at('plan.json'), '{"simulated":true,"cluster":{"devices":[]},"plan":{"jobs":[{}]}}');
    const refused = await run(['dashboard', at('run'), '--plan', at('plan.json'), '--out', at('x.html')]);
    expect(refused).toMatchObject({
      code: 2,
      err: expect.stringMatching(/plan\.json is not a plan as .*plan again\n$/),
    });
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => taken.once('listening', resolve));
    const { port } = taken.address() as AddressInfo;
    expect(await run(['dashboard', at('run'), '--port', String(port)])).toMatchObject({
      code: 2,
      err: expect.stringMatching(/another process listens there; choose another, or 0/),
    });
    taken.close();
  });
});

/** The first view of a stream of events that is as wanted. */
async function lastEvent(response: Response, isWanted: (view: RunView) => boolean): Promise<RunView> {
  let text = '';
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    text += new TextDecoder().decode(chunk, { stream: true });
    const events = text.split('\n\n');
    text = events.pop() ?? '';
    for (const event of events) {
      const view = JSON.parse(event.slice('data: '.length)) as RunView;
      if (isWanted(view)) return view;
    }
  }
  throw new Error('the stream has ended');
}
