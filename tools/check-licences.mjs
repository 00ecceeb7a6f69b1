/**
 * Checks that everything a user installs with the packages is under a licence that a product may be shipped with: the lock file's entries
 * that are not for development alone.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Permissive, or with conditions that bind only changes to the library itself (MPL-2.0; LGPL-3.0 for libvips, which sharp loads as a shared library). */
const allowed = new Set([
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC0-1.0',
  'ISC',
  'LGPL-3.0-or-later',
  'MIT',
  'MPL-2.0',
  'Unlicense',
]);
const { packages } = JSON.parse(readFileSync(join(import.meta.dirname, '../package-lock.json'), 'utf8'));
const installed = Object.entries(packages).filter(
  ([path, { dev, link }]) => path.includes('node_modules/') && !dev && !link,
);
const counts = new Map();
let refused = 0;
for (const [path, { license = 'none' }] of installed) {
  counts.set(license, (counts.get(license) ?? 0) + 1);
  // `A OR B` lets the user choose; `A AND B` binds to both.
  const isAllowed = license
    .replace(/[()]/g, '')
    .split(' OR ')
    .some((choice) => choice.split(' AND ').every((name) => allowed.has(name)));
  if (!isAllowed) {
    refused += 1;
    console.log(`FAIL  ${path.replace(/^.*node_modules\//, '')}: licence ${license}`);
  }
}
for (const [license, count] of [...counts].sort(([, a], [, b]) => b - a))
  console.log(`${String(count).padStart(4)}  ${license}`);
console.log(`${installed.length} packages, ${refused} under a licence that is not on the list`);
process.exitCode = refused > 0 ? 1 : 0;
