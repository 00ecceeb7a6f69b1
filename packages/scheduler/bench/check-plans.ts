/**
 * `npm run check:scheduler`: properties of plans on many random task graphs and clusters; exits with 1 where one does not hold.
 *
 *   --draws N    problems, numbered from the seed on (default 100)
 *   --seed S     number of the first (default 0)
 *   --only GROUP never-worse, exact or fastest; may be given several times (default all)
 *   --json FILE  where results are kept; a further run with the same file goes on after the last problem in it
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';

import { graphOf, propertyGroups } from './plan-properties.js';
import { formatTable } from './table.js';

interface Tally {
  checked: number;
  /** Above 1 by more than rounding. */
  broken: number;
  /** Above 1 by more than a hundredth. */
  byMore: number;
  worst: number;
  /** Numbers of the problems that broke it. */
  readonly problems: number[];
}

interface Results {
  next: Record<string, number>;
  tallies: Record<string, Tally>;
  /** Problems on which a check failed with an error. */
  errors: { readonly group: string; readonly problem: number; readonly message: string }[];
}

const rounding = 1e-9;
const { values } = parseArgs({
  options: {
    draws: { type: 'string', default: '100' },
    seed: { type: 'string', default: '0' },
    json: { type: 'string' },
    only: { type: 'string', multiple: true },
  },
});
const [draws, seed] = [Number(values.draws), Number(values.seed)];
const groups = values.only ?? Object.keys(propertyGroups);
const wrong = groups.find((name) => !Object.hasOwn(propertyGroups, name));
if (wrong !== undefined || !(Number.isSafeInteger(draws) && draws > 0 && Number.isSafeInteger(seed))) {
  console.error(
    wrong === undefined
      ? `check:scheduler: --draws and --seed must be whole numbers, got ${values.draws} and ${values.seed}`
      : `check:scheduler: --only ${wrong} is not one of ${Object.keys(propertyGroups).join(', ')}`,
  );
  process.exit(2);
}

const results = await readResults();
let saved = performance.now();
for (let number = seed; number < seed + draws; number++)
  for (const group of groups) {
    if (number < (results.next[group] ?? seed)) continue;
    check(group, number);
    results.next[group] = number + 1;
    if (performance.now() - saved > 10_000) {
      await keep();
      saved = performance.now();
      console.error(`${group} ${number}`);
    }
  }
await keep();
console.log(describe(results));
if (results.errors.length > 0 || Object.values(results.tallies).some(({ broken }) => broken > 0))
  process.exitCode = 1;

function check(group: string, number: number): void {
  const properties = propertyGroups[group]!;
  try {
    for (const { property, ratio, most = 1 } of properties.findings(graphOf(properties, number), number)) {
      const tally = (results.tallies[`${group}: ${property}`] ??= {
        checked: 0,
        broken: 0,
        byMore: 0,
        worst: 0,
        problems: [],
      });
      tally.checked += 1;
      tally.worst = Math.max(tally.worst, ratio);
      if (ratio > 1.01) tally.byMore += 1;
      if (!(ratio <= most * (1 + rounding))) {
        tally.broken += 1;
        tally.problems.push(number);
        console.error(`${group} ${number}: ${property}: ${ratio}`);
      }
    }
  } catch (error) {
    results.errors.push({ group, problem: number, message: String(error) });
    console.error(`${group} ${number}: ${String(error)}`);
  }
}

function describe({ tallies, errors }: Results): string {
  const rows = Object.entries(tallies).map(([name, { checked, broken, byMore, worst, problems }]) => [
    name,
    `${checked}`,
    `${broken}`,
    `${byMore}`,
    worst.toFixed(6),
    problems.slice(0, 5).join(' '),
  ]);
  const table = formatTable(['property', 'checked', 'broken', 'by > 1 %', 'worst ratio', 'problems'], rows);
  return [table, ...errors.map(({ group, problem, message }) => `${group} ${problem}: ${message}`)].join(
    '\n',
  );
}

async function readResults(): Promise<Results> {
  const none: Results = { next: {}, tallies: {}, errors: [] };
  if (values.json === undefined) return none;
  try {
    return JSON.parse(await readFile(values.json, 'utf8')) as Results;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return none;
    throw error;
  }
}

async function keep(): Promise<void> {
  if (values.json === undefined) return;
  await writeFile(`${values.json}.part`, `${JSON.stringify(results)}\n`, { flush: true });
  await rename(`${values.json}.part`, values.json);
}
