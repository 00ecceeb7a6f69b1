/** Uses installed packages as their users do. What fails throws, with the output of the program that failed. */
import { execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const typescript = join(import.meta.dirname, '../node_modules/typescript/bin/tsc');
const types = join(import.meta.dirname, '../node_modules/@types');

const run = (cwd, program, ...args) =>
  execFileSync(program, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 300_000 });

/** Imports every entry point of the named packages in a project: as an ES module, with `require`, and in TypeScript. Returns how many there are. */
export async function useEntryPoints(project, names) {
  const entries = [];
  for (const name of names) {
    const { exports } = JSON.parse(
      await readFile(join(project, 'node_modules', name, 'package.json'), 'utf8'),
    );
    const modules = Object.entries(exports).filter(([, targets]) => typeof targets === 'object');
    entries.push(...modules.map(([subpath]) => name + subpath.slice(1)));
  }
  const check = "if (Object.keys(loaded).length === 0) throw new Error('exports nothing');";
  const module = entries.map((entry, i) => `import * as e${i} from '${entry}';`).join('\n');
  const used = entries.map((_, i) => `{ const loaded = e${i}; ${check} }`).join('\n');
  await writeFile(join(project, 'use.mjs'), `${module}\n${used}\n`);
  await writeFile(
    join(project, 'use.cjs'),
    entries.map((entry) => `{ const loaded = require('${entry}'); ${check} }`).join('\n'),
  );
  const typed = entries.map((_, i) => `export type E${i} = keyof typeof e${i};`).join('\n');
  await writeFile(join(project, 'use-esm.mts'), `${module}\n${typed}\n`);
  await writeFile(
    join(project, 'use-cjs.cts'),
    `${entries.map((entry, i) => `import e${i} = require('${entry}');`).join('\n')}\n${typed}\n`,
  );
  run(project, process.execPath, 'use.mjs');
  run(project, process.execPath, 'use.cjs');
  const options = ['--noEmit', '--strict', '--target', 'es2023', '--typeRoots', types, '--types', 'node'];
  run(project, process.execPath, typescript, ...options, '--module', 'node20', 'use-esm.mts', 'use-cjs.cts');
  return entries.length;
}

const tasks = `version: 1
tasks:
  - id: weather
    instruction: 'Weather: {text} Answer:'
    inputs: [text]
    answer: { type: label, labels: [sunny, rainy] }
    data: { train: weather.jsonl, test: weather.jsonl }
  - id: advice
    dependsOn: [weather]
    instruction: 'Advice: {text} {weather} Answer:'
    inputs: [text]
    answer: { type: label, labels: [go, stay] }
    data: { train: advice.jsonl, test: advice.jsonl }
`;
const rows = (list) => `${list.map((row) => JSON.stringify(row)).join('\n')}\n`;

/** Trains a small task graph with the installed command, asks it a question, and plans it. */
export async function useCommand(project) {
  const contextlora = (...args) =>
    run(project, process.execPath, join(project, 'node_modules/.bin/contextlora'), ...args);
  await writeFile(join(project, 'tasks.yaml'), tasks);
  await writeFile(
    join(project, 'weather.jsonl'),
    rows([
      { text: 'blue sky', answer: 'sunny' },
      { text: 'wet road', answer: 'rainy' },
    ]),
  );
  await writeFile(
    join(project, 'advice.jsonl'),
    rows([
      { text: 'at noon', parents: { weather: 'sunny' }, answer: 'go' },
      { text: 'at night', parents: { weather: 'rainy' }, answer: 'stay' },
    ]),
  );
  const model = 'node_modules/@contextlora/benchmarks/models/iov-base';
  contextlora('--version');
  contextlora('doctor');
  contextlora('graph', 'tasks.yaml');
  contextlora('train', 'tasks.yaml', '--model', model, '--steps', '2', '--batch-size', '2', '--out', 'run');
  const answer = contextlora('ask', 'run', '--text', 'blue sky', '--json');
  if (!/sunny|rainy/.test(answer)) throw new Error(`ask answers neither label:\n${answer}`);
  const device = { flopsPerSecond: 1e11, memoryBytes: 2 ** 33 };
  const devices = [
    { id: 'a', ...device },
    { id: 'b', ...device },
  ];
  const links = [{ from: 'a', to: 'b', bytesPerSecond: 1e7, latencySeconds: 0.002 }];
  await writeFile(join(project, 'devices.json'), JSON.stringify({ devices, links }));
  contextlora('plan', 'tasks.yaml', '--model', 'smollm2-135m', '--cluster', 'devices.json');
}
