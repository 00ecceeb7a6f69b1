import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { expect, test } from '@jest/globals';
import type { LocalModel, Example } from '@contextlora/model';
import type { TrainableModel } from '@contextlora/trainer';
import * as umbrella from 'contextlora';

/** Fails to compile when the model no longer meets the trainer's interface. */
export const asTrainable = (model: LocalModel): TrainableModel<Example> => model;

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
  version: string;
  dependencies: Record<string, string>;
  bin: Record<string, string>;
};

test('the umbrella re-exports every package it depends on, each as a whole', async () => {
  const packages = Object.keys(manifest.dependencies);
  expect(packages.length).toBeGreaterThan(10);
  for (const name of packages) {
    const camel = name
      .replace('@contextlora/', '')
      .replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
    const whole = (await import(name)) as Record<string, unknown>;
    const exported = (umbrella as Record<string, unknown>)[camel] as Record<string, unknown> | undefined;
    expect({ camel, names: Object.keys(exported ?? {}) }).toEqual({ camel, names: Object.keys(whole) });
  }
});

test('what is imported through the umbrella is what its package exports', async () => {
  const { masksFor } = await import('@contextlora/lora');
  expect(umbrella.lora.masksFor).toBe(masksFor);
});

test('the binary runs in a clone without a build, and prints its version', async () => {
  const { stdout } = await run(process.execPath, [
    join(root, manifest.bin['contextlora'] ?? ''),
    '--version',
  ]);
  expect(stdout.trim()).toBe(manifest.version);
});

test('the binary ends with exit code 2 and one message on a mistake', async () => {
  const scenario = join(
    dirname(createRequire(import.meta.url).resolve('@contextlora/benchmarks/package.json')),
    'scenarios/iov/tasks.yaml',
  );
  const failure = await run(process.execPath, [
    join(root, manifest.bin['contextlora'] ?? ''),
    ...['plan', scenario, '--model', 'smollm2-135m', '--cluster', 'nowhere.json'],
  ]).then(
    () => undefined,
    (error: unknown) => error as { code: number; stderr: string },
  );
  expect(failure?.code).toBe(2);
  expect(failure?.stderr).toMatch(/there is no file nowhere\.json/);
  expect(failure?.stderr).not.toMatch(/^\s+at /m);
});

test('the binary stops, without a stack trace, when nobody reads its output any more', async () => {
  const program = spawn(process.execPath, [
    join(root, manifest.bin['contextlora'] ?? ''),
    ...['profile', '--count', '0', '--interval', '0.1'],
  ]);
  let errors = '';
  program.stderr.on('data', (text: Buffer) => {
    errors += text.toString();
  });
  await once(program.stdout, 'data');
  program.stdout.destroy();
  const [code] = (await once(program, 'close')) as [number];
  expect({ code, errors }).toEqual({ code: 130, errors: '' });
}, 30_000);
