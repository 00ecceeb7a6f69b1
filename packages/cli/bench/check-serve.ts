/**
 * Fuzzes `contextlora serve` with schemathesis, from the OpenAPI document that it sends: whatever is asked, no answer is a defect of the server
 * (5xx), and each has a status, a type and a body that the document names. Passes where schemathesis is missing, and says so.
 *
 * Usage: npm run check:serve -- [--python FILE] [--examples N] [--seed N]; Python needs schemathesis.
 */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { embeddedScenario } from '@contextlora/benchmarks';

import { makeRun, startContextlora } from './served-run.js';

const { values } = parseArgs({
  options: {
    python: { type: 'string', default: 'python3' },
    examples: { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' },
  },
});
const python = (...args: string[]) => spawnSync(values.python, args, { encoding: 'utf8' });
if (python('-c', 'import schemathesis').status !== 0) {
  console.log(`schemathesis is missing (${values.python} -m pip install schemathesis); nothing is checked`);
  process.exit(0);
}
// What the document cannot say: which task there is, and what each needs.
const excluded = ['positive_data_acceptance'];
const folder = await mkdtemp(join(tmpdir(), 'check-serve-'));
const key = 'a-key-for-the-fuzzer';
try {
  const run = await makeRun(folder, embeddedScenario().modelDirectory);
  process.env['CONTEXTLORA_API_KEYS'] = key;
  const server = await startContextlora(run, { port: 8790 });
  const { status } = spawnSync(
    values.python,
    [
      ...['-m', 'schemathesis.cli', 'run', `${server.url}/openapi.json`, '--seed', values.seed],
      ...['--max-examples', values.examples, '--checks', 'all', '--exclude-checks', excluded.join()],
      ...['--header', `Authorization: Bearer ${key}`, '--no-color'],
    ],
    // It leaves a folder where it runs.
    { stdio: 'inherit', cwd: folder },
  );
  const code = await server.stop();
  console.log(`the server ended with ${String(code)}, as SIGTERM asks`);
  process.exitCode = status === 0 && code === 143 ? 0 : 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}
