/**
 * Rehearses a release: starts a registry on loopback, applies the changesets in a clone of the last commit, publishes every package with the
 * command that the release uses, and installs from that registry in fresh projects: the scheduler alone, the trainer alone, and the umbrella.
 * Needs the public registry for what the packages depend on.
 * Usage: npm run rehearsal
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { useCommand, useEntryPoints } from './use-packages.mjs';

/** Not among the dependencies, since it brings hundreds of packages for this script alone. Later versions want Node 22. It asks for node-fetch by a tag, which mirrors of npm may lack. */
const registryProject = {
  private: true,
  dependencies: { verdaccio: '6.2.9' },
  overrides: { 'node-fetch': '2.7.0' },
};

const root = join(import.meta.dirname, '..');
const temporary = await mkdtemp(join(tmpdir(), 'contextlora-rehearsal-'));
const port = await freePort();
const registry = `http://127.0.0.1:${port}/`;
const environment = {
  ...process.env,
  NPM_CONFIG_USERCONFIG: join(temporary, 'npmrc'),
  // The machine's own npm settings must not send anything to the public registry.
  NPM_CONFIG_REGISTRY: registry,
  npm_config_registry: registry,
};
const run = (cwd, program, ...args) =>
  execFileSync(program, args, {
    cwd,
    env: environment,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
const upstream = execFileSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' }).trim();

let server;
try {
  await writeFile(
    join(temporary, 'npmrc'),
    `registry=${registry}\n//127.0.0.1:${port}/:_authToken=rehearsal\nfund=false\naudit=false\n`,
  );
  await writeFile(
    join(temporary, 'verdaccio.yaml'),
    JSON.stringify({
      storage: join(temporary, 'storage'),
      uplinks: { public: { url: upstream } },
      packages: {
        '@contextlora/*': { access: '$all', publish: '$all' },
        contextlora: { access: '$all', publish: '$all' },
        '**': { access: '$all', proxy: 'public' },
      },
      max_body_size: '100mb',
      log: { type: 'stdout', level: 'warn' },
    }),
  );
  await writeFile(join(temporary, 'package.json'), JSON.stringify(registryProject));
  execFileSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: temporary,
  });
  server = spawn(
    process.execPath,
    ['node_modules/verdaccio/bin/verdaccio', '--config', 'verdaccio.yaml', '--listen', `127.0.0.1:${port}`],
    { cwd: temporary, stdio: ['ignore', 'inherit', 'inherit'] },
  );
  await answers(`${registry}-/ping`);
  console.log(`registry   ${registry}`);

  const clone = join(temporary, 'clone');
  execFileSync('git', ['clone', '--quiet', root, clone]);
  run(clone, 'npm', 'ci', '--prefer-offline', '--registry', upstream);
  run(clone, 'npm', 'run', 'build');
  run(clone, 'npx', 'changeset', 'version');
  console.log(run(clone, 'npx', 'changeset', 'publish', '--no-git-tag'));

  const published = [];
  for (const folder of await readdir(join(clone, 'packages'))) {
    const { name, version } = JSON.parse(
      await readFile(join(clone, 'packages', folder, 'package.json'), 'utf8'),
    );
    const found = run(temporary, 'npm', 'view', name, 'version').trim();
    if (found !== version)
      throw new Error(`${name} should be published as ${version}; the registry has ${found || 'none'}`);
    published.push(name);
    console.log(`published  ${name}@${version}`);
  }

  for (const name of ['@contextlora/scheduler', '@contextlora/trainer', 'contextlora']) {
    const project = join(temporary, `use-${name.replace('/', '-')}`);
    await mkdir(project);
    await writeFile(join(project, 'package.json'), '{"private":true}');
    run(project, 'npm', 'install', name);
    const entries = await useEntryPoints(project, name === 'contextlora' ? published : [name]);
    if (name === 'contextlora') await useCommand(project);
    console.log(`used       ${name}: ${entries} entry points${name === 'contextlora' ? ', command' : ''}`);
  }
} finally {
  if (server?.exitCode === null) {
    server.kill();
    await once(server, 'exit');
  }
  await rm(temporary, { recursive: true, force: true });
}

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port: free } = probe.address();
  probe.close();
  await once(probe, 'close');
  return free;
}

/** Waits until the address answers; npx may have to install the registry first. */
async function answers(url) {
  for (let i = 0; i < 600; i++) {
    const response = await fetch(url).catch(() => undefined);
    if (response?.ok) return;
    if (server.exitCode !== null) throw new Error(`the registry ended with code ${server.exitCode}`);
    await sleep(250);
  }
  throw new Error(`${url} does not answer`);
}
