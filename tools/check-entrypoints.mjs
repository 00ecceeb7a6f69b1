/** Loads every entry point of every built package as a consumer does, as an ES module and with `require`, and compares what they export. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const packages = join(import.meta.dirname, '../packages');
const names =
  'Object.keys(loaded).filter((key) => key !== "default" && key !== "module.exports").sort().join()';
let failed = 0;
for (const folder of readdirSync(packages)) {
  const cwd = join(packages, folder);
  const manifest = JSON.parse(readFileSync(join(cwd, 'package.json'), 'utf8'));
  const modules = Object.entries(manifest.exports).filter(([, targets]) => typeof targets === 'object');
  for (const [subpath] of modules) {
    const entry = manifest.name + subpath.slice(1);
    const print = (code, type) =>
      execFileSync(process.execPath, [`--input-type=${type}`, '-e', code], { cwd, encoding: 'utf8' }).trim();
    try {
      const esm = print(`import * as loaded from ${JSON.stringify(entry)}; console.log(${names})`, 'module');
      const cjs = print(
        `const loaded = require(${JSON.stringify(entry)}); console.log(${names})`,
        'commonjs',
      );
      if (esm !== cjs || esm === '') throw new Error(`exports differ:\n  import  ${esm}\n  require ${cjs}`);
      console.log(`ok    ${entry}: ${esm.split(',').length} exports, import and require`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL  ${entry}\n${error.stderr || error.message}`);
    }
  }
}
process.exitCode = failed > 0 ? 1 : 0;
