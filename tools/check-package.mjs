/**
 * Checks the package in the current directory as npm would publish it: what its manifest must say, publint, and whether its types resolve.
 * Needs its build.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

const manifest = JSON.parse(readFileSync('package.json', 'utf8'));
const home = 'https://github.com/contextlora/contextlora';
const folder = basename(process.cwd());
const expected = {
  license: 'Apache-2.0',
  author: 'ContextLoRA contributors',
  homepage: `${home}/tree/main/packages/${folder}#readme`,
  'bugs.url': `${home}/issues`,
  'repository.url': `git+${home}.git`,
  'repository.directory': `packages/${folder}`,
  'publishConfig.access': 'public',
  // A bare `npm publish` must not ship without dist, and .npmrc turns scripts off.
  'scripts.prepack': 'npm run build',
  'publishConfig.ignore-scripts': false,
};
const problems = Object.entries(expected).flatMap(([path, value]) => {
  const found = path.split('.').reduce((part, key) => part?.[key], manifest);
  return found === value ? [] : [`"${path}" must be ${JSON.stringify(value)}, got ${JSON.stringify(found)}`];
});
if (!(manifest.keywords?.length >= 3)) problems.push('"keywords" must name at least three');
if (!(manifest.description?.length >= 20)) problems.push('"description" must say what the package does');
for (const problem of problems) console.log(`FAIL  ${manifest.name}: package.json: ${problem}`);

const temporary = mkdtempSync(join(tmpdir(), 'contextlora-package-'));
try {
  // Without scripts: prepack would build again while other packages read this one's dist.
  const arguments_ = [
    'pack',
    '--json',
    '--ignore-scripts',
    '--loglevel=error',
    '--pack-destination',
    temporary,
  ];
  const [{ filename }] = JSON.parse(execFileSync('npm', arguments_, { encoding: 'utf8' }));
  const run = (command, ...rest) =>
    spawnSync('npx', ['--no-install', command, ...rest, join(temporary, filename)], { stdio: 'inherit' })
      .status;
  const statuses = [run('publint', 'run', '--strict'), run('attw')];
  process.exitCode = problems.length > 0 || statuses.some((status) => status !== 0) ? 1 : 0;
} finally {
  rmSync(temporary, { recursive: true, force: true });
}
