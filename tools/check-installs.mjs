/**
 * Installs each package, as it would be published, alone into an empty project, and uses it there: every entry point as an ES module, with
 * `require` and from TypeScript; and the command, which trains, asks and plans. Exits 1 if anything fails. Needs `npm run build` first,
 * and a registry or npm's cache.
 * Usage: npm run installs -- [--only NAME]...
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { installAlone, packAll } from './packed-packages.mjs';
import { useCommand, useEntryPoints } from './use-packages.mjs';

const { values } = parseArgs({ options: { only: { type: 'string', multiple: true } } });
const temporary = await mkdtemp(join(tmpdir(), 'contextlora-installs-'));
let failed = 0;
try {
  const tarballs = join(temporary, 'tarballs');
  await mkdir(tarballs);
  const packed = await packAll(tarballs);
  for (const name of Object.keys(packed).filter((one) => values.only?.includes(one) ?? true)) {
    const project = join(temporary, name.replace('/', '-'));
    try {
      await installAlone(project, name, { packed });
      // The umbrella brings all the others along.
      const names = name === 'contextlora' ? Object.keys(packed) : [name];
      const entries = await useEntryPoints(project, names);
      if (name === 'contextlora') await useCommand(project);
      console.log(`ok    ${name}: ${entries} entry points${name === 'contextlora' ? ', command' : ''}`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL  ${name}\n${error.stdout ?? ''}${error.stderr ?? error.message}`);
    } finally {
      await rm(project, { recursive: true, force: true });
    }
  }
} finally {
  await rm(temporary, { recursive: true, force: true });
}
process.exitCode = failed > 0 ? 1 : 0;
