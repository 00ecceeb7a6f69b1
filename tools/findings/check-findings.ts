/**
 * Brings every finding of the audits back, one at a time, and runs the test that holds it: it must fail, and pass without the change.
 * Prints a table; exits with 1 if a test did not see one.
 *
 * Usage: npm run check:findings -- [--only EXPRESSION] [--json FILE]
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { type Finding, findings } from './findings.js';

const { values } = parseArgs({
  options: { only: { type: 'string', default: '' }, json: { type: 'string' } },
});
const root = join(import.meta.dirname, '../..');
const home = await mkdtemp(join(tmpdir(), 'check-findings-'));

interface JestConfig {
  readonly transform: Readonly<Record<string, readonly [string, object]>>;
}
const jest = '../jest.mjs';
const { preset } = (await import(jest)) as { preset: (rootDir: string) => JestConfig };

/** How a test ran. */
interface Tested {
  readonly passed: number;
  /** Titles. */
  readonly failed: readonly string[];
  /** Whether the file could be read at all. */
  readonly isBroken: boolean;
}

interface JestReport {
  readonly numPassedTests: number;
  readonly numRuntimeErrorTestSuites: number;
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly status: string; readonly title: string }[];
  }[];
}

const passing = new Map<string, Promise<boolean>>();

/** Runs the test of a finding in the package that it is of; with the finding brought back, or without. */
async function run(
  { file, from, to, test, title }: Finding,
  { isBack }: { isBack: boolean },
): Promise<Tested> {
  const [name = ''] = test.split('/');
  const plain = preset(join(root, 'packages', name));
  const [[pattern, [, options]] = ['', ['', {}]] as const] = Object.entries(plain.transform);
  const mutant = { path: join(root, 'packages', file), from, to };
  const transform = {
    [pattern]: [join(import.meta.dirname, 'mutating-transform.mjs'), { ...options, mutant }],
  };
  const [config, report] = [join(home, 'jest.config.json'), join(home, 'report.json')];
  // On a busy machine a test that only waits must not count as one that fails.
  const patient = { ...plain, testTimeout: 900_000 };
  await writeFile(config, JSON.stringify(isBack ? { ...patient, transform } : patient));
  await rm(report, { force: true });
  const args = ['--experimental-vm-modules', join(root, 'node_modules/jest/bin/jest.js'), '--config', config];
  await new Promise((ended) => {
    execFile(
      process.execPath,
      [
        ...args,
        '--maxWorkers=1',
        '--json',
        '--outputFile',
        report,
        '--runTestsByPath',
        join(root, 'packages', test),
      ].concat(title === undefined ? [] : ['-t', title]),
      { cwd: root, maxBuffer: 2 ** 28, timeout: 900_000 },
      ended,
    );
  });
  const text = await readFile(report, 'utf8').catch(() => undefined);
  if (text === undefined) return { passed: 0, failed: [], isBroken: true };
  const { numPassedTests, numRuntimeErrorTestSuites, testResults } = JSON.parse(text) as JestReport;
  return {
    passed: numPassedTests,
    failed: testResults.flatMap(({ assertionResults }) =>
      assertionResults.flatMap(({ status, title: failed }) => (status === 'failed' ? [failed] : [])),
    ),
    isBroken: numRuntimeErrorTestSuites > 0,
  };
}

/** What became of a finding that was brought back. */
async function check(finding: Finding): Promise<string> {
  const source = await readFile(join(root, 'packages', finding.file), 'utf8');
  if (source.split(finding.from).length !== 2) return 'NOT FOUND: the text to replace is not there once';
  const { failed, isBroken, passed } = await run(finding, { isBack: true });
  if (isBroken) return 'BROKEN: the tests cannot be run with the change';
  if (failed.length === 0) return passed === 0 ? 'NO TEST of this title' : 'NOT SEEN';
  const key = `${finding.test} ${finding.title ?? ''}`;
  const passes =
    passing.get(key) ?? run(finding, { isBack: false }).then((plain) => plain.failed.length === 0);
  passing.set(key, passes);
  if (!(await passes)) return 'FAILS ALWAYS: the test fails without the change too';
  return `seen: ${failed.length > 1 ? `${failed.length} tests, as ` : ''}"${failed[0] ?? ''}"`;
}

try {
  console.log('| finding | brought back | test | outcome |\n| --- | --- | --- | --- |');
  const chosen = findings.filter(({ audit, point, what }) =>
    new RegExp(values.only).test(`${audit} ${point} ${what}`),
  );
  const outcomes: (Finding & { readonly outcome: string })[] = [];
  for (const finding of chosen) {
    const outcome = await check(finding);
    outcomes.push({ ...finding, outcome });
    const { audit, point, what, test } = finding;
    console.log(`| ${audit} ${point} | ${what} | \`${test}\` | ${outcome} |`);
  }
  const unseen = outcomes.filter(({ outcome }) => !outcome.startsWith('seen')).length;
  console.log(
    `${chosen.length} findings brought back: ${chosen.length - unseen} seen by their tests, ${unseen} not`,
  );
  if (values.json) await writeFile(values.json, `${JSON.stringify(outcomes, null, 2)}\n`);
  if (unseen > 0) process.exitCode = 1;
} finally {
  await rm(home, { recursive: true, force: true });
}
