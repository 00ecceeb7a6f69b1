/** Brings the page's files to where the packages look for them: into the memory's file system. */
import { initWasm } from '@resvg/resvg-wasm';
import { fs } from 'memfs';

import { provide } from '../shims/module.js';

export const modelFolder = '/model';
export const taskFile = '/scenario/tasks.yaml';

const modelFiles = [
  'config.json',
  'generation_config.json',
  'model.safetensors',
  'preprocessor_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
];

/** @throws Error that names a file that does not come. */
export async function loadFiles(): Promise<void> {
  fs.mkdirSync(modelFolder, { recursive: true });
  fs.mkdirSync('/scenario', { recursive: true });
  await Promise.all([
    fetched('resvg.wasm').then((bytes) => initWasm(bytes)),
    ...['noto', 'fluent'].map(async (style) => {
      const icons = new TextDecoder().decode(await fetched(`${style}.json`));
      provide(`@contextlora/benchmarks/assets/${style}.json`, JSON.parse(icons));
    }),
    ...modelFiles.map(async (name) => {
      fs.writeFileSync(`${modelFolder}/${name}`, await fetched(`model/${name}`));
    }),
    fetched('tasks.yaml').then((bytes) => {
      fs.writeFileSync(taskFile, bytes);
    }),
  ]);
}

async function fetched(name: string): Promise<Uint8Array> {
  const response = await fetch(name);
  if (!response.ok) throw new Error(`the page has no file ${name} (${response.status})`);
  return new Uint8Array(await response.arrayBuffer());
}
