import * as real from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';

/** What is done to files, in order; paths without the temporary directory. */
let calls: string[];
/** An error code for flushing folders. */
let folderFault: string | undefined;
let directory: string;
const shown = (path: string) => path.slice(directory.length) || '/';

jest.unstable_mockModule('node:fs/promises', () => ({
  ...real,
  rename: async (from: string, to: string) => {
    calls.push(`rename ${shown(from)} ${shown(to)}`);
    await real.rename(from, to);
  },
  open: async (path: string, flags: string) => {
    const file = await real.open(path, flags);
    return {
      writeFile: (content: string) => file.writeFile(content),
      close: () => file.close(),
      sync: async () => {
        calls.push(`flush ${shown(path)}`);
        if (flags === 'r' && folderFault !== undefined)
          throw Object.assign(new Error(folderFault), { code: folderFault });
        await file.sync();
      },
    };
  },
}));
const { writeWhole } = await import('@contextlora/lora/files');

beforeEach(async () => {
  calls = [];
  folderFault = undefined;
  directory = await real.mkdtemp(join(tmpdir(), 'write-whole-'));
});
afterEach(() => real.rm(directory, { recursive: true, force: true }));

test('a file is flushed before it is renamed and its folder after, so that it outlasts a power cut', async () => {
  await writeWhole(join(directory, 'x.json'), '1');
  expect(calls).toEqual(['flush /x.json.partial', 'rename /x.json.partial /x.json', 'flush /']);
});

test('folders made on the way are flushed too, up to the one that was there', async () => {
  await writeWhole(join(directory, 'a/b/x.json'), '1');
  expect(calls.slice(2)).toEqual(['flush /a/b', 'flush /a', 'flush /']);
});

test.each(['EINVAL', 'EPERM', 'EISDIR'])(
  'where folders cannot be flushed (%s), the file is there all the same',
  async (code) => {
    folderFault = code;
    await writeWhole(join(directory, 'x.json'), '1');
    expect(await real.readFile(join(directory, 'x.json'), 'utf8')).toBe('1');
  },
);

test('any other fault of flushing a folder is reported', async () => {
  folderFault = 'EIO';
  await expect(writeWhole(join(directory, 'x.json'), '1')).rejects.toMatchObject({ code: 'EIO' });
});
