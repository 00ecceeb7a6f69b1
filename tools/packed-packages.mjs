/** The packages as npm would publish them, and empty projects that depend on them. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');

export const npm = (cwd, ...args) =>
  execFileSync('npm', [...args, '--loglevel=error'], {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });

/** Packs every package into `folder`: its name → its tarball. Each must be built. */
export async function packAll(folder) {
  const directories = await readdir(join(root, 'packages'));
  const unbuilt = directories.filter((directory) => !existsSync(join(root, 'packages', directory, 'dist')));
  if (unbuilt.length > 0) throw new Error(`not built: ${unbuilt.join(', ')}; run \`npm run build\` first`);
  // Without scripts, since prepack would build again.
  const listed = JSON.parse(
    npm(root, 'pack', '--workspaces', '--json', '--ignore-scripts', '--pack-destination', folder),
  );
  const packed = Array.isArray(listed) ? listed : Object.values(listed);
  return Object.fromEntries(packed.map(({ name, filename }) => [name, join(folder, filename)]));
}

/**
 * Makes an empty project that depends on the package `name` alone, and installs it; its siblings are those of `packed`, and `stubs` take
 * the place of other packages.
 */
export async function installAlone(project, name, { packed, stubs = {}, flags = [] }) {
  const { [name]: asked, ...siblings } = packed;
  const overrides = Object.fromEntries(
    Object.entries({ ...siblings, ...stubs }).map(([other, path]) => [other, `file:${path}`]),
  );
  await mkdir(project);
  await writeFile(
    join(project, 'package.json'),
    JSON.stringify({ private: true, dependencies: { [name]: `file:${asked}` }, overrides }),
  );
  npm(project, 'install', '--no-audit', '--no-fund', '--prefer-offline', '--install-links=false', ...flags);
}
