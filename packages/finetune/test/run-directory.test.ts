import { cp, lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { openRunDirectory, type RunDirectoryOptions, type WrittenFile } from '@contextlora/finetune';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

const marker = '.contextlora-run';
const lock = '.contextlora-lock';
const taken = { name: 'FinetuneError', code: 'FINETUNE_DIRECTORY_TAKEN' };
const inputs = { 'the seed': '0', 'the training rows of task "road"': 'a'.repeat(64) };

let parent: string;
let directory: string;
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'finetune-directory-'));
  directory = join(parent, 'deep', 'run');
});
afterEach(() => rm(parent, { recursive: true, force: true }));

async function writeAt(path: string, content = ''): Promise<void> {
  await mkdir(join(directory, path, '..'), { recursive: true });
  await writeFile(join(directory, path), content);
}
const files = async (below = directory): Promise<string[]> =>
  (await readdir(below, { recursive: true, withFileTypes: true }))
    .filter((entry) => !entry.isDirectory())
    .map(({ parentPath, name }) => join(parentPath, name).slice(below.length + 1))
    .sort();

const results: Readonly<Record<string, string>> = {
  'report.json': '{}',
  'adapters/road/adapter_config.json': '{"r": 8}',
};
async function writeResults(folder: string): Promise<readonly WrittenFile[]> {
  for (const [path, content] of Object.entries(results)) {
    await mkdir(join(folder, path, '..'), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  return [{ path: 'report.json', content: 'numbers' }];
}

/** A run that stops after its first checkpoint, or finishes. */
async function runOnce({
  finish = true,
  options = {},
  given = inputs,
}: {
  finish?: boolean;
  options?: Partial<RunDirectoryOptions>;
  given?: Readonly<Record<string, string>>;
} = {}) {
  await using run = await openRunDirectory(directory, { kind: 'train', ...options });
  const state = await run.begin(given);
  if (state !== 'finished') {
    await writeAt('checkpoints/latest.json', '{}');
    await writeAt('checkpoints/phase-1-step-0/segments.safetensors', 'bytes');
    await writeAt('metrics.jsonl', '{}\n');
    if (finish) await run.finish(writeResults);
  }
  return state;
}
const ofRun = [
  marker,
  'adapters/road/adapter_config.json',
  'checkpoints/latest.json',
  'checkpoints/phase-1-step-0/segments.safetensors',
  'metrics.jsonl',
  'report.json',
];

describe('what cannot be read is not taken for absent', () => {
  test('a directory', async () => {
    await symlink('self', join(parent, 'self'));
    const attempt = openRunDirectory(join(parent, 'self'), { kind: 'train' });
    await expect(attempt).rejects.toMatchObject({ code: 'ELOOP' });
  });

  test('a lock, for which nobody would wait in vain', async () => {
    await mkdir(join(directory, lock), { recursive: true });
    const attempt = openRunDirectory(directory, { kind: 'train' });
    await expect(attempt).rejects.toMatchObject({ code: 'EISDIR' });
  });
});

describe('a new run', () => {
  test('makes its directory, or takes an empty one', async () => {
    expect(await runOnce()).toBe('new');
    expect(await files()).toEqual(ofRun);
    directory = join(parent, 'empty');
    await mkdir(directory);
    expect(await runOnce()).toBe('new');
  });

  test('that never began leaves nothing behind, not even the directories on the way', async () => {
    await (await openRunDirectory(directory, { kind: 'train' }))[Symbol.asyncDispose]();
    expect(await readdir(parent)).toEqual([]);
    await mkdir(directory, { recursive: true });
    await (await openRunDirectory(directory, { kind: 'train' }))[Symbol.asyncDispose]();
    expect(await readdir(directory)).toEqual([]);
  });

  test.each([{}, { resume: true }, { force: true }])(
    'never begins among the files of others, with %j',
    async (options) => {
      await writeAt('thesis.txt', 'years of work');
      await expect(runOnce({ options })).rejects.toMatchObject(taken);
      expect(await readdir(directory)).toEqual(['thesis.txt']);
      expect(await readFile(join(directory, 'thesis.txt'), 'utf8')).toBe('years of work');
    },
  );

  test.each([{}, { force: true }])('does not replace a file by a directory, with %j', async (options) => {
    directory = join(parent, 'file');
    await writeFile(directory, 'kept');
    await expect(runOnce({ options })).rejects.toMatchObject(taken);
    expect(await readFile(directory, 'utf8')).toBe('kept');
  });
});

describe('a directory with a run', () => {
  test.each([true, false])(
    'is refused with the ways out (finished: %j), and nothing changes',
    async (finish) => {
      await runOnce({ finish });
      const before = await files();
      await expect(runOnce()).rejects.toMatchObject({
        ...taken,
        message: expect.stringMatching(/--resume .*--force .*--out/),
      });
      expect(await files()).toEqual(before);
    },
  );

  test('of another kind is refused even by force', async () => {
    await runOnce();
    for (const more of [{}, { force: true }, { resume: true }])
      await expect(runOnce({ options: { kind: 'demo', ...more } })).rejects.toMatchObject(taken);
    expect(await files()).toEqual(ofRun);
  });

  test('loses by force what the run wrote and nothing else, and only once the new run begins', async () => {
    await runOnce();
    const others = [
      'notes.txt',
      'adapters/road/README.md',
      'checkpoints/notes.txt',
      'partition/mine.json',
      'phase-1-step-0/x',
    ];
    for (const path of others) await writeAt(path, 'mine');
    const elsewhere = join(parent, 'elsewhere');
    await mkdir(elsewhere);
    await writeFile(join(elsewhere, 'metrics.jsonl'), 'mine');
    await symlink(elsewhere, join(directory, 'link'));
    {
      await using run = await openRunDirectory(directory, { kind: 'train', force: true });
      expect(await files()).toEqual([lock, ...ofRun, ...others, 'link'].sort());
      expect(await run.begin({ other: 'inputs' })).toBe('new');
      expect(await files()).toEqual([lock, marker, ...others, 'link'].sort());
      await run.finish(writeResults);
    }
    for (const path of others) expect(await readFile(join(directory, path), 'utf8')).toBe('mine');
    expect(await readFile(join(elsewhere, 'metrics.jsonl'), 'utf8')).toBe('mine');
  });

  test('forgets by force the files of its kind too, and the folders that this empties', async () => {
    const options = { kind: 'demo', isWorkingFile: (path: string) => /^scenes\/\d\.png$/.test(path) };
    await runOnce({ options });
    await writeAt('scenes/1.png');
    await writeAt('scenes/holiday.png');
    await writeAt('scenes/deep/1.png');
    await using run = await openRunDirectory(directory, { ...options, force: true });
    await run.begin(inputs);
    expect(await files()).toEqual([lock, marker, 'scenes/deep/1.png', 'scenes/holiday.png'].sort());
    expect(await readdir(directory)).not.toContain('adapters');
  });

  test('whose list of files was changed is refused, by force too: nobody knows what is whose', async () => {
    await runOnce();
    await writeAt('thesis.txt', 'mine');
    const manifest = await readFile(join(directory, marker), 'utf8');
    for (const changed of [
      manifest.replace('report.json', 'thesis.txt'),
      '',
      'Made by an earlier version\n',
    ]) {
      await writeAt(marker, changed);
      for (const options of [{}, { force: true }, { resume: true }])
        await expect(runOnce({ options })).rejects.toMatchObject({ code: 'FINETUNE_RUN_DAMAGED' });
    }
    expect(await files()).toContain('thesis.txt');
  });
});

describe('a resumed run', () => {
  test('goes on with its files, or begins where there is none', async () => {
    const options = { resume: true };
    expect(await runOnce({ finish: false, options })).toBe('new');
    expect(await runOnce({ options })).toBe('begun');
    expect(await files()).toEqual(ofRun);
  });

  test('has nothing left to do once it is finished, and then no file changes', async () => {
    await runOnce();
    const before = await lstat(join(directory, marker));
    expect(await runOnce({ options: { resume: true } })).toBe('finished');
    expect((await lstat(join(directory, marker))).mtimeMs).toBe(before.mtimeMs);
  });

  test('of other inputs is refused with every input that differs', async () => {
    await runOnce({ finish: false });
    const given = { 'the seed': '5', 'the training rows of task "road"': 'b'.repeat(64) };
    await expect(runOnce({ given, options: { resume: true } })).rejects.toMatchObject({
      code: 'FINETUNE_RUN_FOREIGN',
      message: expect.stringMatching(/belongs to another run.*--out.*--force/),
      problems: [
        'the seed: 0 when the run began, 5 now',
        'the training rows of task "road": aaaaaaaaaaaa when the run began, bbbbbbbbbbbb now',
      ],
    });
    expect(await runOnce({ options: { resume: true } })).toBe('begun');
  });

  test('names the files of a finished run that were changed since, and writes those again that are missing', async () => {
    await runOnce();
    const options = { resume: true };
    for (const path of ofRun.filter((name) => name !== marker)) {
      const content = await readFile(join(directory, path), 'utf8');
      await writeAt(path, content.replace(/.$/s, '!'));
      await expect(runOnce({ options })).rejects.toMatchObject({
        code: 'FINETUNE_RUN_DAMAGED',
        problems: [path],
      });
      await writeAt(path, content);
    }
    await rm(join(directory, 'report.json'));
    expect(await runOnce({ options })).toBe('begun');
    expect(await files()).toEqual(ofRun);
    expect(await runOnce({ options })).toBe('finished');
  });

  test("does not write its results over somebody else's file, and finishes when that is out of the way", async () => {
    await runOnce({ finish: false });
    await writeAt('report.json', 'mine');
    const options = { resume: true };
    await expect(runOnce({ options })).rejects.toMatchObject({
      ...taken,
      problems: ['report.json'],
    });
    expect(await readFile(join(directory, 'report.json'), 'utf8')).toBe('mine');
    await rm(join(directory, 'report.json'));
    await runOnce({ options });
    expect(await files()).toEqual(ofRun);
  });

  test('may be moved', async () => {
    await runOnce();
    const moved = join(parent, 'moved');
    await cp(directory, moved, { recursive: true });
    directory = moved;
    expect(await runOnce({ options: { resume: true } })).toBe('finished');
  });
});

describe('the lock', () => {
  const ownerOf = async () =>
    JSON.parse(await readFile(join(directory, lock), 'utf8')) as Readonly<Record<string, unknown>>;
  const open = () => openRunDirectory(directory, { kind: 'train', resume: true });

  test('names the process that works in the directory, until that has left', async () => {
    {
      await using first = await open();
      await first.begin(inputs);
      await expect(open()).rejects.toMatchObject({
        code: 'FINETUNE_RUN_LOCKED',
        message: expect.stringContaining(`process ${process.pid} is at work in ${directory}`),
      });
      expect(await files()).toEqual([lock, marker]);
    }
    expect(await files()).toEqual([marker]);
    await using second = await open();
    expect(await second.begin(inputs)).toBe('begun');
  });

  test.each([
    ['a process that has ended', (own: object) => JSON.stringify({ ...own, pid: 2 ** 22 + 1 })],
    ['an earlier process of the same number', (own: object) => JSON.stringify({ ...own, started: '1' })],
    ['a process that was killed while it wrote the lock', () => ''],
  ])('of %s is taken over', async (_, stale) => {
    let own: Readonly<Record<string, unknown>>;
    {
      await using first = await open();
      await first.begin(inputs);
      own = await ownerOf();
    }
    await writeAt(lock, stale(own));
    await using second = await open();
    expect(await second.begin(inputs)).toBe('begun');
    expect(await ownerOf()).toEqual(own);
    expect(await files()).toEqual([lock, marker]);
  });

  test('of a process on another machine is not touched', async () => {
    await writeAt(lock, JSON.stringify({ pid: 2 ** 22 + 1, host: 'orin-2' }));
    await expect(open()).rejects.toThrow(/process 4194305 on orin-2 is at work/);
    expect(await files()).toEqual([lock]);
  });

  test('is taken over although a process was killed while it removed a stale one', async () => {
    await writeAt(lock, JSON.stringify({ pid: 2 ** 22 + 1, host: (await import('node:os')).hostname() }));
    await writeAt(`${lock}.guard`, '');
    const got = await open();
    await got[Symbol.asyncDispose]();
  });

  test('goes to one of many that find it stale at the same time', async () => {
    await writeAt(lock, JSON.stringify({ pid: 2 ** 22 + 1, host: (await import('node:os')).hostname() }));
    const opened = await Promise.allSettled(Array.from({ length: 20 }, open));
    const got = opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    expect(got).toHaveLength(1);
    for (const one of opened)
      if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'FINETUNE_RUN_LOCKED' });
    await got[0]?.[Symbol.asyncDispose]();
  });
});
