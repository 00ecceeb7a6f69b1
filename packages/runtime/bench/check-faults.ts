/**
 * Trains a small model on three simulated devices once for every fault: each kind at every computation and at every message.
 *
 * Usage: npm run check:runtime-faults [-- --json FILE]; exits 1 where a run ends in anything but the same result or one clear error, where
 * a lost device is noticed after more than a second, or where more than one step is repeated.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { faultKinds, judge, simulateFaults } from '../test/fault-simulator.js';

const { values } = parseArgs({ options: { json: { type: 'string' } } });
const rows: Record<string, string | number>[] = [];
const problems: string[] = [];
for (const kind of faultKinds) {
  const counts = new Map<string, number>();
  let [points, slowest, repeated] = [0, 0, 0];
  for await (const run of simulateFaults(kind)) {
    points += 1;
    const outcome = run.device === 'coordinator' && kind === 'freeze' ? 'coordinator gone' : run.outcome;
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    slowest = Math.max(slowest, run.noticedSeconds ?? 0);
    repeated = Math.max(repeated, run.stepsRepeated);
    problems.push(...judge(run));
  }
  rows.push({
    fault: kind,
    points,
    'same result': counts.get('same result') ?? 0,
    'clear error': counts.get('clear error') ?? 0,
    'workers end with the coordinator': counts.get('workers ended') ?? 0,
    'coordinator frozen': counts.get('coordinator gone') ?? 0,
    hang: counts.get('hang') ?? 0,
    'noticed after at most (s)': Number(slowest.toFixed(2)),
    'steps repeated at most': repeated,
  });
}
console.table(rows);
for (const problem of problems) console.log(`FAIL ${problem}`);
if (values.json) writeFileSync(values.json, `${JSON.stringify({ rows, problems }, null, 2)}\n`);
process.exitCode = problems.length > 0 ? 1 : 0;
