import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openKernels } from '@contextlora/kernels';
import { loadModel, locateModel, ModelError } from '@contextlora/model';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

let hubDirectory: string;
const commit = 'a'.repeat(40);
const file = async (...parts: string[]) => {
  const path = join(hubDirectory, ...parts);
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, parts.includes('refs') ? commit : '{}');
};
beforeAll(async () => {
  hubDirectory = await mkdtemp(join(tmpdir(), 'hub-'));
  await file('models--org--name', 'snapshots', commit, 'config.json');
  await file('models--org--name', 'refs', 'main');
  await file('models--gpt2', 'snapshots', commit, 'config.json');
  await file('models--org--gguf', 'snapshots', commit, 'model.Q4_0.gguf');
  await file('models--org--gguf', 'refs', 'main');
  await file('models--org--many', 'snapshots', commit, 'a.gguf');
  await file('models--org--many', 'snapshots', commit, 'b.gguf');
  await file('models--org--many', 'refs', 'main');
  await file('models--org--evil', 'snapshots', commit, 'config.json');
  await mkdir(join(hubDirectory, 'models--org--evil', 'refs'), { recursive: true });
  await writeFile(join(hubDirectory, 'models--org--evil', 'refs', 'main'), '../../models--org--name');
});
afterAll(() => rm(hubDirectory, { recursive: true, force: true }));
const snapshot = (model: string) => join(hubDirectory, `models--${model}`, 'snapshots', commit);

describe('a model', () => {
  test('given by its path is found there', async () => {
    const path = snapshot('org--name');
    expect(await locateModel(path)).toBe(path);
    expect(await locateModel(join(path, 'config.json'))).toBe(join(path, 'config.json'));
  });

  test('given by its name is found in the cache, in the snapshot of main or of the requested revision', async () => {
    expect(await locateModel('org/name', { hubDirectory })).toBe(snapshot('org--name'));
    expect(await locateModel(`gpt2@${commit}`, { hubDirectory })).toBe(snapshot('gpt2'));
  });

  test('in a directory with a single GGUF file is that file', async () => {
    const path = join(snapshot('org--gguf'), 'model.Q4_0.gguf');
    expect(await locateModel('org/gguf', { hubDirectory })).toBe(path);
    expect(await locateModel(snapshot('org--gguf'))).toBe(path);
  });

  test.each([
    ['org/other', 'has no model of that name; "hf download org/other" fetches it'],
    ['org/name@v2', `has no snapshot of v2, only ${commit}; "hf download org/name --revision v2" fetches it`],
    ['gpt2', 'has no snapshot of main'],
    ['org/many', 'has several GGUF files; name one of a.gguf, b.gguf'],
    ['org/evil', 'has no snapshot of main'],
    ['../secret', 'there is no file or directory ../secret; is the path right?'],
    ['a/b/c', 'there is no file or directory a/b/c'],
    ['lost.gguf', 'there is no file or directory lost.gguf'],
  ])('%s cannot be found, and the message says why and what to do', async (name, message) => {
    const attempt = locateModel(name, { hubDirectory });
    await expect(attempt).rejects.toThrow(message);
    await expect(attempt).rejects.toBeInstanceOf(ModelError);
  });

  test('without a cache says how to fetch it', async () => {
    await expect(locateModel('org/name')).rejects.toThrow('"hf download org/name" fetches it');
  });
});

describe('a file that exists but cannot be read', () => {
  test('is not taken for one that a model may do without', async () => {
    const fixture = new URL('fixtures/smolvlm-tiny', import.meta.url);
    const kernels = await openKernels({ prefer: 'reference' });
    for (const name of ['config.json', 'tokenizer_config.json', 'preprocessor_config.json']) {
      const directory = await mkdtemp(join(tmpdir(), 'unreadable-'));
      try {
        await cp(fixture, directory, { recursive: true });
        await rm(join(directory, name), { force: true });
        // Root may read every file, but no directory as one.
        await mkdir(join(directory, name));
        const loaded = loadModel(directory, { kernels });
        await expect(loaded).rejects.toThrow(ModelError);
        await expect(loaded).rejects.toThrow(`cannot read ${join(directory, name)} (EISDIR`);
      } finally {
        await rm(directory, { recursive: true });
      }
    }
  });
});
