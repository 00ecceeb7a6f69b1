/**
 * Load on `contextlora serve`: 1, 8 and 64 clients that ask for a decision of two tasks, for written text, and for both in turn; beside the
 * same server with passes of one prompt, and llama.cpp's server (text alone) where the model is a GGUF file. At the end the server is asked to
 * stop while 64 requests are under way, and the lost ones are counted. Exits with 1 if there is an error or a lost request.
 *
 * Usage: npm run bench:serve -- [--model PATH] [--clients 1,8,64] [--requests N] [--tokens N] [--python FILE] [--json FILE]
 *        --model is the embedded one by default; --python names an interpreter that has llama-cpp-python[server]; N requests a client, at least 32
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { embeddedScenario } from '@contextlora/benchmarks';
import { writeWhole } from '@contextlora/lora/files';

import { load, type LoadRequest, type LoadResult } from './serve-load.js';
import { makeRun, type ServerProcess, startContextlora, startServer } from './served-run.js';

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    clients: { type: 'string', default: '1,8,64' },
    requests: { type: 'string', default: '4' },
    tokens: { type: 'string', default: '24' },
    python: { type: 'string' },
    json: { type: 'string' },
  },
});
const model = values.model === undefined ? embeddedScenario().modelDirectory : resolve(values.model);
const clients = values.clients.split(',').map(Number);
const newTokens = Number(values.tokens);

const words = ['rain', 'road', 'car', 'snow', 'light', 'truck', 'sun', 'night'];
/** A text of its own for every request. */
const textOf = (i: number) =>
  [0, 3, 6].map((shift) => `the ${words[((i >> shift) + shift) % 8] ?? ''}`).join(' and ');
const usageOf = (answer: unknown) =>
  (answer as { usage: { completion_tokens: number } }).usage.completion_tokens;
const chat = (task: string, i: number, more: object = {}): LoadRequest => ({
  path: '/v1/chat/completions',
  body: { model: task, messages: [{ role: 'user', content: textOf(i) }], ...more },
  tokensOf: usageOf,
});
const story = (i: number) => chat('story', i, { max_tokens: newTokens });
const workloads: Readonly<Record<string, (i: number) => LoadRequest>> = {
  decision: (i) => chat('reader', i),
  text: story,
  mixed: (i) => (i % 2 === 0 ? chat('reader', i) : story(i)),
};
const raw = (i: number): LoadRequest => ({
  path: '/v1/completions',
  body: { prompt: textOf(i), max_tokens: newTokens, temperature: 0 },
  tokensOf: usageOf,
});

interface Row extends LoadResult {
  readonly server: string;
  readonly workload: string;
}
const rows: Row[] = [];
/** Measures servers in turn, so that they meet the machine in the same state. */
const measure = async (
  workload: string,
  requestOf: (i: number) => LoadRequest,
  servers: readonly ServerProcess[],
) => {
  for (const server of servers) await load(server.url, requestOf, { clients: 2, count: 4 });
  for (const count of clients)
    for (const server of servers) {
      const result = await load(server.url, requestOf, {
        clients: count,
        count: Math.max(leastRequests, count * Number(values.requests)),
      });
      rows.push({ server: server.name, workload, ...result });
      console.log(lineOf(server.name, workload, result));
    }
};
/** Fewer would say nothing of the slowest. */
const leastRequests = 32;

function lineOf(server: string, workload: string, result: LoadResult): string {
  const milliseconds = (seconds: number) => `${(1000 * seconds).toFixed(0)} ms`.padStart(8);
  return (
    `${workload.padEnd(8)} ${String(result.clients).padStart(3)} clients  ${server.padEnd(18)} ` +
    `p50 ${milliseconds(result.p50Seconds)}  p99 ${milliseconds(result.p99Seconds)}  ` +
    `${result.requestsPerSecond.toFixed(1).padStart(6)} requests/s  ${result.tokensPerSecond.toFixed(0).padStart(5)} tokens/s  ${result.errors} errors`
  );
}

/** Stops a server with requests under way; counts those that it let in and did not answer. */
async function stopUnderLoad(
  server: ServerProcess,
): Promise<{ answered: number; refused: number; lost: number }> {
  const counts = { answered: 0, refused: 0, lost: 0 };
  const all = Array.from({ length: 64 }, async (_, i) => {
    const { path, body } = workloads['mixed']!(i);
    try {
      const response = await fetch(`${server.url}${path}`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify(body),
      });
      await response.json();
      if (response.ok) counts.answered += 1;
      else counts.refused += 1;
    } catch {
      counts.lost += 1;
    }
  });
  const inFlight = async () =>
    Number(/in_flight (\d+)/.exec(await (await fetch(`${server.url}/metrics`)).text())?.[1]);
  while (counts.answered < 8 && (await inFlight()) < 56)
    await new Promise((resolve) => setTimeout(resolve, 1));
  await Promise.all([server.stop(), ...all]);
  return counts;
}

const folder = await mkdtemp(join(tmpdir(), 'bench-serve-'));
try {
  const run = await makeRun(folder, model);
  let port = 8700;
  const batched = await startContextlora(run, { port: port++ });
  const single = await startContextlora(run, {
    port: port++,
    args: ['--batch-size', '1'],
    name: 'one prompt a pass',
  });
  for (const [workload, requestOf] of Object.entries(workloads))
    await measure(workload, requestOf, [batched, single]);
  await single.stop();
  const stopped = await stopUnderLoad(batched);
  console.log(
    `stopped with 64 requests under way: ${stopped.answered} answered, ${stopped.refused} refused, ${stopped.lost} lost`,
  );
  if (values.python === undefined || !model.endsWith('.gguf'))
    console.log("llama.cpp's server is left out: it needs --python FILE and a --model that is a GGUF file");
  else {
    const url = `http://127.0.0.1:${port}`;
    const llama = await startServer(
      "llama.cpp's server",
      [
        ...([values.python, '-m', 'llama_cpp.server', '--model', model, '--port', String(port)] as const),
        ...['--n_threads', '1', '--n_ctx', '2048'],
      ],
      { url, isReady: async () => (await fetch(`${url}/v1/models`)).ok },
    );
    await measure('text', raw, [llama]);
    await llama.stop();
  }
  if (values.json !== undefined)
    await writeWhole(values.json, `${JSON.stringify({ model, newTokens, rows, stopped }, null, 2)}\n`);
  process.exitCode = stopped.lost > 0 || rows.some(({ errors }) => errors > 0) ? 1 : 0;
} finally {
  await rm(folder, { recursive: true, force: true });
}
