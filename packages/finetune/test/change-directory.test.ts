import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { openChangeDirectory, openRunDirectory } from '@contextlora/finetune';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

const before = { 'the seed': '0' };
const after = { 'the seed': '0', 'the definition of task "fog"': 'f'.repeat(64) };
const staged = '.contextlora-change/results';

let directory: string;
beforeEach(async () => {
  directory = join(await mkdtemp(join(tmpdir(), 'finetune-change-')), 'run');
  await using run = await openRunDirectory(directory, { kind: 'train' });
  await run.begin(before);
  await writeAt(directory, 'metrics.jsonl', 'old\n');
  await run.finish(writeAll({ 'report.json': 'old', 'adapters/road/a': 'road', 'adapters/gone/a': 'gone' }));
  await writeAt(directory, 'notes.txt', 'mine');
});
afterEach(() => rm(join(directory, '..'), { recursive: true, force: true }));

async function writeAt(below: string, path: string, content: string) {
  await mkdir(join(below, path, '..'), { recursive: true });
  await writeFile(join(below, path), content);
}
const writeAll = (files: Readonly<Record<string, string>>) => async (into: string) => {
  for (const [path, content] of Object.entries(files)) await writeAt(into, path, content);
  return [];
};
const newFiles = { 'report.json': 'new', 'adapters/road/a': 'road', 'adapters/fog/a': 'fog' };

/** Path → content of everything but the marks of the run and the change. */
async function visible(): Promise<Record<string, string>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(directory.length + 1))
    .filter((path) => !path.startsWith('.contextlora'));
  return Object.fromEntries(
    await Promise.all(
      paths.sort().map(async (path) => [path, await readFile(join(directory, path), 'utf8')] as const),
    ),
  );
}
const old = {
  'adapters/gone/a': 'gone',
  'adapters/road/a': 'road',
  'metrics.jsonl': 'old\n',
  'notes.txt': 'mine',
  'report.json': 'old',
};
const changed = {
  'adapters/fog/a': 'fog',
  'adapters/road/a': 'road',
  'metrics.jsonl': 'new\n',
  'notes.txt': 'mine',
  'report.json': 'new',
  'tensorboard/events.out.tfevents': 'new',
};

async function change({
  write = writeAll(newFiles),
  ...options
}: Partial<Parameters<typeof openChangeDirectory>[1]> & { write?: (into: string) => Promise<never[]> } = {}) {
  await using opened = await openChangeDirectory(directory, { of: before, ...options });
  const state = await opened.begin(after);
  await writeAt(opened.folder, 'metrics.jsonl', 'new\n');
  await writeAt(opened.folder, 'tensorboard/events.out.tfevents', 'new');
  await opened.finish(after, write);
  return state;
}
/** What a run finds that is opened next. */
async function reopened() {
  await using run = await openRunDirectory(directory, { kind: 'train', resume: true });
  return await run.begin(after);
}

describe('a change of a run', () => {
  test('replaces its files when it is complete, and those of nobody else', async () => {
    expect(await change()).toBe('new');
    expect(await visible()).toEqual(changed);
    expect(await readdir(directory)).not.toContain('.contextlora-change');
    expect(await reopened()).toBe('finished');
  });

  test('that fails while it writes its results leaves the run as it was, and can go on', async () => {
    const write = async (into: string): Promise<never[]> => {
      await writeAll(newFiles)(into);
      throw new Error('no space left');
    };
    await expect(change({ write })).rejects.toThrow('no space left');
    expect(await visible()).toEqual(old);
    await expect(change()).rejects.toMatchObject({ code: 'FINETUNE_DIRECTORY_TAKEN' });
    expect(await change({ resume: true })).toBe('begun');
    expect(await visible()).toEqual(changed);
  });

  test.each([0, 1, 3, 6])(
    'whose process dies while it is put in place, after %i files, is completed by whoever opens the run next',
    async (moved) => {
      await cp(directory, `${directory}-old`, { recursive: true });
      await change();
      const manifest = JSON.parse(await readFile(join(directory, '.contextlora-run'), 'utf8')) as {
        files: Record<string, string>;
      };
      // The old run, with everything of the change still to be moved but the first files.
      const done = await visible();
      await rm(directory, { recursive: true });
      await cp(`${directory}-old`, directory, { recursive: true });
      const paths = Object.keys(manifest.files);
      for (const [i, path] of paths.entries())
        await writeAt(directory, i < moved ? path : join(staged, path), done[path] ?? '');
      await dieWhileInstalling(manifest.files);
      expect(await reopened()).toBe('finished');
      expect(await visible()).toEqual(changed);
    },
  );

  /** Writes the manifest as it is from the moment that a change is complete until it is in its place. */
  async function dieWhileInstalling(files: Readonly<Record<string, string>>) {
    const { sealJson } = await import('@contextlora/lora/files');
    const path = join(directory, '.contextlora-run');
    const manifest = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
    delete manifest['seal'];
    await writeFile(path, sealJson({ ...manifest, incoming: { inputs: after, files } }));
  }

  test('does not write over the file of somebody else', async () => {
    await writeAt(directory, 'adapters/fog/a', 'mine');
    await expect(change()).rejects.toMatchObject({
      code: 'FINETUNE_DIRECTORY_TAKEN',
      problems: ['adapters/fog/a'],
    });
    expect(await visible()).toEqual({ ...old, 'adapters/fog/a': 'mine' });
  });

  test('is refused for a run that is damaged, stopped, or another than it was planned for', async () => {
    await expect(change({ of: after })).rejects.toMatchObject({ code: 'FINETUNE_RUN_FOREIGN' });
    await writeAt(directory, 'report.json', 'forged');
    await expect(change()).rejects.toMatchObject({ code: 'FINETUNE_RUN_DAMAGED', problems: ['report.json'] });
    await rm(directory, { recursive: true });
    {
      await using run = await openRunDirectory(directory, { kind: 'train' });
      await run.begin(before);
    }
    await expect(change()).rejects.toMatchObject({ code: 'FINETUNE_RUN_UNFINISHED' });
  });

  test('that was begun with other inputs is not gone on with, but may be replaced', async () => {
    {
      await using opened = await openChangeDirectory(directory, { of: before });
      await opened.begin({ other: 'inputs' });
    }
    await expect(change({ resume: true })).rejects.toMatchObject({ code: 'FINETUNE_RUN_FOREIGN' });
    expect(await change({ force: true })).toBe('new');
    expect(await visible()).toEqual(changed);
  });
});
