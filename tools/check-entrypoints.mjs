/** Loads every built package as a consumer does, once as an ES module and once with `require`, and compares what they export. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const packages = join(import.meta.dirname, '../packages');
let failed = 0;
for (const folder of readdirSync(packages)) {
  const cwd = join(packages, folder);
  const { name } = JSON.parse(readFileSync(join(cwd, 'package.json'), 'utf8'));
  const list =
    'Object.keys(loaded).filter((key) => key !== "default" && key !== "module.exports").sort().join()';
  const print = (code, type) =>
    execFileSync(process.execPath, [`--input-type=${type}`, '-e', code], { cwd, encoding: 'utf8' }).trim();
  try {
    const esm = print(`import * as loaded from ${JSON.stringify(name)}; console.log(${list})`, 'module');
    const cjs = print(`const loaded = require(${JSON.stringify(name)}); console.log(${list})`, 'commonjs');
    if (esm !== cjs || esm === '') throw new Error(`exports differ:\n  import  ${esm}\n  require ${cjs}`);
    console.log(`ok    ${name}: ${esm.split(',').length} exports, import and require`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL  ${name}\n${error.stderr || error.message}`);
  }
}
process.exitCode = failed > 0 ? 1 : 0;
