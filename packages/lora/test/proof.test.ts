import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { composeTask, initialiseSegments, keyedRandom, LoraError, partitionRanks } from '@contextlora/lora';
import {
  hashPartition,
  openSealed,
  readPartition,
  readPeftFolder,
  sealJson,
  writeDigests,
  writePartition,
  writePeftFolder,
} from '@contextlora/lora/files';
import fc from 'fast-check';

const linears = [
  { name: 'model.layers.0.self_attn.q_proj', inFeatures: 5, outFeatures: 4, layerIndex: 0 },
  { name: 'model.layers.0.self_attn.v_proj', inFeatures: 5, outFeatures: 3, layerIndex: 0 },
];
const tasks = [
  { id: 'a', dependsOn: [] },
  { id: 'b', dependsOn: ['a'] },
];
const partition = partitionRanks(linears, tasks, { rank: 4 });
const segments = initialiseSegments(partition, { seed: 1 });

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lora-proof-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const filesOf = async (folder: string) =>
  (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

/** Flips one bit of a file, calls `use`, and puts the file back. */
async function withFlip(path: string, bit: number, use: () => Promise<void>) {
  const good = await readFile(path);
  const bad = Buffer.from(good);
  bad[bit >> 3]! ^= 1 << (bit & 7);
  await writeFile(path, bad);
  await use();
  await writeFile(path, good);
}

describe('a partition on disk', () => {
  const write = async (name: string) => {
    const out = join(directory, name);
    await writePartition(out, partition, segments);
    return out;
  };

  test('notices any bit that is flipped in any of its files, and names the task or the manifest', async () => {
    const out = await write('flips');
    const random = keyedRandom(0, 'flips');
    for (const path of await filesOf(out)) {
      const bits = 8 * (await readFile(path)).length;
      for (let i = 0; i < 40; i++)
        await withFlip(path, random.integer(bits), async () => {
          const attempt = readPartition(out);
          await expect(attempt).rejects.toBeInstanceOf(LoraError);
          const [, task] = /segments\/(\w)/.exec(path) ?? [];
          await expect(attempt).rejects.toThrow(
            task === undefined ? 'partition.json ' : task === 'a' ? /"a"|segments\/a/ : /"b"|segments\/b/,
          );
        });
    }
    await expect(readPartition(out)).resolves.toMatchObject({ partition });
  });

  test('covers alpha, spans and ranks: they cannot be edited in the manifest', async () => {
    const out = await write('edited');
    const path = join(out, 'partition.json');
    const text = await readFile(path, 'utf8');
    for (const [from, to] of [
      ['"alpha": 4', '"alpha": 8'],
      ['"scaling": "standard"', '"scaling": "rslora"'],
      ['"end": 2', '"end": 3'],
    ] as const) {
      expect(text).toContain(from);
      await writeFile(path, text.replace(from, to));
      await expect(readPartition(out)).rejects.toMatchObject({ code: 'LORA_FILE_DAMAGED' });
    }
  });

  test('without digests is refused, not read unchecked', async () => {
    const out = await write('old');
    const path = join(out, 'partition.json');
    const { seal, sha256, files, format, ...old } = JSON.parse(await readFile(path, 'utf8')) as Record<
      string,
      unknown
    >;
    for (const manifest of [old, { ...old, sha256 }, { ...old, sha256, files, format }]) {
      await writeFile(path, JSON.stringify(manifest));
      await expect(readPartition(out)).rejects.toThrow(/partition\.json has no digests.*train again/);
    }
    await writeFile(path, sealJson({ ...old, format, files }));
    await expect(readPartition(out)).rejects.toThrow('has no digests');
    await writeFile(
      path,
      sealJson({ ...old, sha256: { a: (sha256 as Record<string, string>)['a'] }, files, format }),
    );
    await expect(readPartition(out)).rejects.toThrow('the segment of "b" differs');
    expect(seal).toMatch(/^[0-9a-f]{64}$/);
  });

  test('names every segment that is missing or swapped at once', async () => {
    const out = await write('several');
    await rm(join(out, 'segments/a'), { recursive: true });
    await cp(join(await write('other'), 'segments/a'), join(out, 'segments/b'), { recursive: true });
    await expect(readPartition(out)).rejects.toMatchObject({
      code: 'LORA_SEGMENT_CHANGED',
      problems: [
        expect.stringMatching(/"a".*adapter_model\.safetensors is missing.*adapter_config\.json is missing/),
        expect.stringMatching(/"b".*adapter_model\.safetensors has other content/),
      ],
    });
  });
});

describe('an adapter of a run', () => {
  const write = async (name: string) => {
    const out = join(directory, name);
    await writeDigests(out, await writePeftFolder(out, composeTask(partition, segments, 'b')));
    return out;
  };

  test('notices any flipped bit when it is read', async () => {
    const out = await write('adapter');
    const random = keyedRandom(1, 'flips');
    for (const path of await filesOf(out)) {
      const bits = 8 * (await readFile(path)).length;
      for (let i = 0; i < 40; i++)
        await withFlip(path, random.integer(bits), () =>
          expect(readPeftFolder(out)).rejects.toMatchObject({ code: 'LORA_FILE_DAMAGED' }),
        );
    }
    await expect(readPeftFolder(out)).resolves.toBeDefined();
  });

  test('is plain PEFT without its digests: changed on purpose, it is read once they are removed, as the message says', async () => {
    const out = await write('on-purpose');
    const config = join(out, 'adapter_config.json');
    await writeFile(config, (await readFile(config, 'utf8')).replace('"revision": null', '"revision": "x"'));
    await expect(readPeftFolder(out)).rejects.toThrow(
      /adapter_config\.json has \d+ bytes|adapter_config\.json has other content/,
    );
    await expect(readPeftFolder(out)).rejects.toThrow('remove digests.json from it');
    await rm(join(out, 'digests.json'));
    await expect(readPeftFolder(out)).resolves.toMatchObject({ config: { revision: 'x' } });
  });

  test('is not written with a number that is not finite, and the module is named', async () => {
    for (const value of [NaN, Infinity, -Infinity]) {
      const modules = composeTask(partition, segments, 'b');
      modules['model.layers.0.self_attn.v_proj']!.b[3] = value;
      const out = join(directory, 'not-finite');
      await expect(writePeftFolder(out, modules)).rejects.toMatchObject({
        code: 'LORA_PARTITION_INVALID',
        problems: ['model.layers.0.self_attn.v_proj'],
      });
      await expect(readdir(out)).rejects.toThrow('ENOENT');
    }
  });
});

describe('sealed JSON', () => {
  test('opens to what was sealed, whatever it is', () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.string().filter((key) => key !== '__proto__' && key !== 'seal'),
          fc.jsonValue(),
        ),
        (value) => {
          expect(openSealed(sealJson(value))).toEqual({
            value: JSON.parse(JSON.stringify(value)) as unknown,
          });
        },
      ),
    );
  });

  test('is refused after any change of its text', () => {
    const text = sealJson({ phase: 1, files: ['x'] });
    for (let at = 0; at < text.length; at++)
      for (const other of [text.slice(0, at) + text.slice(at + 1), `${text.slice(0, at)} ${text.slice(at)}`])
        expect(openSealed(other)).toHaveProperty('problem');
    expect(openSealed('{"phase":1}')).toEqual({
      problem: expect.stringContaining('no digests'),
      isUnsealed: true,
    });
  });
});

test('the hash of a partition covers alpha and every span, and not the order of its keys', () => {
  const { layers, tasks: entries, order, version } = partition;
  expect(hashPartition({ layers, order, tasks: entries, version })).toBe(hashPartition(partition));
  const alpha = partitionRanks(linears, tasks, { rank: 4, alpha: 5 });
  const spans = partitionRanks(linears, tasks, { rank: 4, allocate: () => [1, 3], alpha: 4 });
  expect(new Set([partition, alpha, spans].map(hashPartition)).size).toBe(3);
});

describe('ranks out of sense', () => {
  test.each([0, -1, NaN, Infinity])('alpha %p is refused', (alpha) => {
    expect(() => partitionRanks(linears, tasks, { rank: 4, alpha })).toThrow(
      'alpha must be a number above 0',
    );
  });

  test.each([0, 1.5, NaN, -3, 1])('rank %p is refused for two tasks', (rank) => {
    expect(() => partitionRanks(linears, tasks, { rank })).toThrow('cannot be shared by 2 tasks');
  });

  test('more ranks than any linear can hold are refused before memory is taken for them', () => {
    const huge = partitionRanks(linears, tasks, { rank: 100_000 });
    expect(() => initialiseSegments(huge, { seed: 0 })).toThrow(
      'task "a" has more ranks than any linear of the model can hold; lower the rank',
    );
    expect(() => initialiseSegments(partitionRanks(linears, tasks, { rank: 8 }), { seed: 0 })).not.toThrow();
  });
});
