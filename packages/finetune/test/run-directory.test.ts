import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { prepareRunDirectory } from '@contextlora/finetune';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

const marker = '.contextlora-run';
const taken = { name: 'FinetuneError', code: 'FINETUNE_DIRECTORY_TAKEN' };

let parent: string;
let directory: string;
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'finetune-directory-'));
  directory = join(parent, 'deep', 'run');
});
afterEach(() => rm(parent, { recursive: true, force: true }));

describe('prepareRunDirectory', () => {
  test('makes a new directory, or takes an empty one, and marks it', async () => {
    await prepareRunDirectory(directory);
    expect(await readdir(directory)).toEqual([marker]);
    const empty = join(parent, 'empty');
    await mkdir(empty);
    await prepareRunDirectory(empty);
    expect(await readdir(empty)).toEqual([marker]);
  });

  test('removes the files of an earlier run, folders included, or keeps them', async () => {
    await prepareRunDirectory(directory);
    await mkdir(join(directory, 'checkpoints'));
    await writeFile(join(directory, 'checkpoints', 'latest.json'), '{}');
    await prepareRunDirectory(directory, { keep: true });
    expect((await readdir(directory)).sort()).toEqual([marker, 'checkpoints']);
    await prepareRunDirectory(directory);
    expect(await readdir(directory)).toEqual([marker]);
  });

  test.each([{ keep: false }, { keep: true }])('never touches files of others, with %j', async (options) => {
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, 'thesis.txt'), 'years of work');
    await expect(prepareRunDirectory(directory, options)).rejects.toMatchObject(taken);
    expect(await readdir(directory)).toEqual(['thesis.txt']);
    expect(await readFile(join(directory, 'thesis.txt'), 'utf8')).toBe('years of work');
  });

  test('does not replace a file by a directory', async () => {
    const file = join(parent, 'file');
    await writeFile(file, 'kept');
    await expect(prepareRunDirectory(file)).rejects.toMatchObject(taken);
    expect(await readFile(file, 'utf8')).toBe('kept');
  });
});
