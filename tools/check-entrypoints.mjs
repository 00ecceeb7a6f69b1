/**
 * Loads every entry point of every built package as a consumer does, as an ES module and with `require`, and compares what they export;
 * checks that no built file, code or types, imports a package that its own package does not depend on.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';

import { buildSync } from 'esbuild';
import ts from 'typescript';

const packages = join(import.meta.dirname, '../packages');
const names =
  'Object.keys(loaded).filter((key) => key !== "default" && key !== "module.exports").sort().join()';
let failed = 0;
for (const folder of readdirSync(packages)) {
  const cwd = join(packages, folder);
  const manifest = JSON.parse(readFileSync(join(cwd, 'package.json'), 'utf8'));
  for (const problem of undeclaredImports(cwd, manifest)) {
    failed += 1;
    console.log(`FAIL  ${manifest.name}: ${problem}`);
  }
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

/** One sentence for each built file and package that it imports undeclared. */
function undeclaredImports(cwd, { name, dependencies, peerDependencies, optionalDependencies }) {
  const declared = new Set([
    name,
    ...Object.keys({ ...dependencies, ...peerDependencies, ...optionalDependencies }),
  ]);
  const files = readdirSync(join(cwd, 'dist'), { recursive: true }).map((file) => join('dist', file));
  const imports = [
    ...importsOfCode(
      cwd,
      files.filter((file) => /\.c?js$/.test(file)),
    ),
    ...files.filter((file) => /\.d\.c?ts$/.test(file)).flatMap((file) => importsOfTypes(cwd, file)),
  ];
  const undeclared = imports
    .filter(([, specifier]) => !specifier.startsWith('.') && !isBuiltin(specifier))
    .map(([file, specifier]) => [file, /^(@[^/]+\/)?[^/]+/.exec(specifier)[0]])
    .filter(([, imported]) => !declared.has(imported))
    .map(([file, imported]) => `${file} imports ${imported}, which is not among its dependencies`);
  return new Set(undeclared);
}

function importsOfCode(cwd, files) {
  const contents = files.map((file, i) => `export * as file${i} from './${file}';`).join('\n');
  const { metafile } = buildSync({
    absWorkingDir: cwd,
    stdin: { contents, resolveDir: cwd },
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    metafile: true,
    write: false,
    logLevel: 'silent',
  });
  return Object.entries(metafile.inputs).flatMap(([file, { imports }]) =>
    imports.filter(({ external, path }) => external && path !== '<runtime>').map(({ path }) => [file, path]),
  );
}

function importsOfTypes(cwd, file) {
  const { importedFiles, typeReferenceDirectives } = ts.preProcessFile(readFileSync(join(cwd, file), 'utf8'));
  return [...importedFiles, ...typeReferenceDirectives].map(({ fileName }) => [file, fileName]);
}
