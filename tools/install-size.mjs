/**
 * What users get: installs each package, as it would be published, into an empty project and measures `node_modules` three times:
 * whole, without the native runtime of the kernels, and without any optional dependency. The last is smaller than what works:
 * sharp and resvg bring their binaries as optional dependencies. Exits 1 if a package is over its budget. Needs `npm run build` first,
 * and a registry.
 * Usage: npm run sizes -- [--only NAME]... [--json FILE]
 */
import { existsSync } from 'node:fs';
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { installAlone, packAll } from './packed-packages.mjs';

/** Most megabytes without the native runtime: today's size and a tenth. */
/** Of which the runtime's gRPC, NATS and certificates are 14. */
const budgetMegabytes = { contextlora: 84 };

const { values } = parseArgs({
  options: { json: { type: 'string' }, only: { type: 'string', multiple: true } },
});
const root = join(import.meta.dirname, '..');

const temporary = await mkdtemp(join(tmpdir(), 'contextlora-sizes-'));
try {
  const packed = await packAll(temporary);
  const names = Object.keys(packed).filter((name) => values.only?.includes(name) ?? true);
  const runtime = await stubsOfRuntime(temporary);
  const sizes = [];
  for (const name of names) {
    const measure = (options) => measureInstall(temporary, { name, packed, ...options });
    const whole = await measure({});
    const withoutRuntime = await measure({ stubs: runtime });
    const withoutOptional = await measure({ flags: ['--omit=optional'] });
    sizes.push({ name, whole, withoutRuntime, withoutOptional });
    console.log(
      `${name.padEnd(24)} ${describe(whole)}, without native runtime ${describe(withoutRuntime)}, ` +
        `without optional ${describe(withoutOptional)}; largest without runtime: ${largest(withoutRuntime)}`,
    );
    if (withoutRuntime.bytes > budgetMegabytes[name] * 1e6) {
      console.log(`OVER  ${name}: ${budgetMegabytes[name]} MB are allowed without the native runtime`);
      process.exitCode = 1;
    }
  }
  if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(sizes, null, 2)}\n`);
} finally {
  await rm(temporary, { recursive: true, force: true });
}

/** The optional dependencies of the kernels as empty packages: name → folder. */
async function stubsOfRuntime(folder) {
  const { optionalDependencies } = JSON.parse(
    await readFile(join(root, 'packages/kernels/package.json'), 'utf8'),
  );
  const stubs = {};
  for (const [name, range] of Object.entries(optionalDependencies)) {
    stubs[name] = join(folder, 'stubs', name);
    await mkdir(stubs[name], { recursive: true });
    const version = range.replace(/^[^\d]*/, '');
    await writeFile(join(stubs[name], 'package.json'), JSON.stringify({ name, version }));
  }
  return stubs;
}

/** Bytes and number of packages of an empty project that depends on `name` alone; `stubs` take the place of packages. */
async function measureInstall(folder, { name, packed, stubs = {}, flags = [] }) {
  const project = join(folder, 'project');
  await rm(project, { recursive: true, force: true });
  await installAlone(project, name, { packed, stubs, flags });
  const { packages } = JSON.parse(await readFile(join(project, 'node_modules/.package-lock.json'), 'utf8'));
  const bytesOf = {};
  for (const [path, { link }] of Object.entries(packages)) {
    // A stub is a link, and an optional package for another machine is not there.
    if (path.startsWith('node_modules/') && !link && existsSync(join(project, path)))
      bytesOf[path] = await bytesBelow(join(project, path));
  }
  const bytes = Object.values(bytesOf).reduce((sum, one) => sum + one, 0);
  return { bytes, packages: Object.keys(bytesOf).length, bytesOf };
}

/** Bytes of a package's own files, without the packages in its `node_modules`. */
async function bytesBelow(directory) {
  let bytes = 0;
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) bytes += entry.name === 'node_modules' ? 0 : await bytesBelow(path);
    else bytes += (await lstat(path)).size;
  }
  return bytes;
}

function describe({ bytes, packages }) {
  return `${(bytes / 1e6).toFixed(1).padStart(6)} MB in ${String(packages).padStart(3)} packages`;
}

function largest({ bytesOf }) {
  return Object.entries(bytesOf)
    .sort(([, a], [, b]) => b - a)
    .slice(0, 4)
    .map(([path, bytes]) => `${path.split('node_modules/').at(-1)} ${(bytes / 1e6).toFixed(1)}`)
    .join(', ');
}
