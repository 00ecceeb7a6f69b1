/** Checks that the relative links of every Markdown file lead to a file or folder; prints those that do not and exits 1. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const root = join(import.meta.dirname, '..');
const files = execFileSync('git', ['ls-files', '*.md'], { cwd: root, encoding: 'utf8' }).trim().split('\n');
let [checked, dead] = [0, 0];
for (const file of files) {
  const text = readFileSync(join(root, file), 'utf8').replace(/```[^]*?```/g, '');
  for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(target) || target.startsWith('#')) continue;
    checked += 1;
    if (existsSync(join(root, dirname(file), target.split('#')[0]))) continue;
    dead += 1;
    console.log(`${file}: ${target} leads nowhere`);
  }
}
console.log(`${checked} links checked, ${dead} lead nowhere`);
process.exitCode = dead > 0 ? 1 : 0;
