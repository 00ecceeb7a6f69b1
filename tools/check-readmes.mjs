/**
 * Runs every README example from source and compares what it prints with what the README says.
 *
 * An example is a `ts` block directly followed by a `text` block. What stands for a reader's own files is copied next to it, as the package's
 * `test/readme-files.json` says: name in the example → path in the package. Prints one line per example; exits 1 if any differs.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const root = join(import.meta.dirname, '..');
const readmes = ['.', ...readdirSync(join(root, 'packages')).map((name) => join('packages', name))]
  .map((folder) => join(root, folder, 'README.md'))
  .filter((path) => readdirSync(dirname(path)).includes('README.md'));
const example = /```ts\n([\s\S]*?)```\s*```text\n([\s\S]*?)```/g;

const filesOf = (directory) => {
  const path = join(directory, 'test', 'readme-files.json');
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {};
};

let passed = 0;
let failed = 0;
for (const readme of readmes) {
  for (const [index, [, code, expected]] of [...readFileSync(readme, 'utf8').matchAll(example)].entries()) {
    const title = `${readme.slice(root.length + 1)} example ${index + 1}`;
    // Beside the package's sources, so that its own dependencies resolve.
    const folder = mkdtempSync(join(dirname(readme), '.readme-example-'));
    try {
      for (const [name, path] of Object.entries(filesOf(dirname(readme))))
        cpSync(join(dirname(readme), path), join(folder, name), { recursive: true });
      const file = join(folder, 'example.ts');
      writeFileSync(file, code);
      const printed = execFileSync(
        process.execPath,
        ['--conditions', '@contextlora/source', '--import', 'tsx', file],
        { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 120_000 },
      );
      if (printed.trim() === expected.trim()) {
        passed += 1;
        console.log(`ok    ${title}`);
      } else {
        failed += 1;
        console.log(`FAIL  ${title}\n--- README says\n${expected}--- it prints\n${printed}`);
      }
    } catch (error) {
      failed += 1;
      console.log(`FAIL  ${title}\n${error.stderr ?? error}`);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}
console.log(`README examples: ${passed} ok, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
