/**
 * What each package weighs as npm would publish it, against its budget; exits 1 where one is over.
 *
 * Usage: npm run build && npm run packed [-- --json FILE]
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

/** Most unpacked kilobytes: today's size and a tenth, rounded up. Raise one together with the reason for it. */
const budgetKilobytes = {
  '@contextlora/benchmarks': 5260,
  '@contextlora/cli': 1545,
  '@contextlora/dashboard': 570,
  '@contextlora/finetune': 935,
  '@contextlora/jetson': 500,
  '@contextlora/kernels': 3640,
  '@contextlora/lora': 435,
  '@contextlora/model': 2625,
  '@contextlora/runtime': 840,
  '@contextlora/scheduler': 1830,
  '@contextlora/serve': 335,
  '@contextlora/task-graph': 187,
  '@contextlora/trainer': 510,
  '@contextlora/workloads': 265,
  contextlora: 40,
};

const root = join(import.meta.dirname, '..');
const { values } = parseArgs({ options: { json: { type: 'string' } } });
const folders = readdirSync(join(root, 'packages')).sort();
const unbuilt = folders.filter((folder) => !existsSync(join(root, 'packages', folder, 'dist')));
if (unbuilt.length > 0) {
  console.error(`not built: ${unbuilt.join(', ')}; run npm run build first`);
  process.exit(1);
}
const listed = JSON.parse(
  execFileSync(
    'npm',
    ['pack', '--workspaces', '--dry-run', '--ignore-scripts', '--json', '--loglevel=error'],
    {
      cwd: root,
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    },
  ),
);
const packed = (Array.isArray(listed) ? listed : Object.values(listed)).sort((a, b) =>
  a.name.localeCompare(b.name),
);
const kilobytes = (bytes) => Math.ceil(bytes / 1000);
let over = 0;
for (const { name, size, unpackedSize, entryCount } of packed) {
  const budget = budgetKilobytes[name];
  const isOver = budget === undefined || kilobytes(unpackedSize) > budget;
  if (isOver) over += 1;
  console.log(
    `${isOver ? 'OVER ' : 'ok   '} ${name.padEnd(24)} ${String(kilobytes(unpackedSize)).padStart(6)} kB unpacked of ${budget ?? 'no budget'}, ` +
      `${kilobytes(size)} kB packed, ${entryCount} files`,
  );
}
if (values.json)
  writeFileSync(
    values.json,
    `${JSON.stringify(
      packed.map(({ name, size, unpackedSize, entryCount }) => ({ name, size, unpackedSize, entryCount })),
      null,
      2,
    )}\n`,
  );
process.exitCode = over > 0 ? 1 : 0;
