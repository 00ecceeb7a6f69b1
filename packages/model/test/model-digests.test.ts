import { appendFile, cp, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { digestModel, type ModelDigests } from '@contextlora/model';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

const fixtures = join(import.meta.dirname, 'fixtures');

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'model-digests-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function digest(path: string): Promise<ModelDigests> {
  const events = digestModel(path);
  for (;;) {
    const next = await events.next();
    if (next.done) return next.value;
    expect(next.value.doneBytes).toBeLessThanOrEqual(next.value.totalBytes);
  }
}

async function copyOf(fixture: string): Promise<string> {
  const copy = join(directory, fixture);
  await cp(join(fixtures, fixture), copy, { recursive: true });
  return copy;
}

async function flipBit(path: string, position: number): Promise<void> {
  const bytes = await readFile(path);
  bytes[position] = (bytes[position] ?? 0) ^ 1;
  await writeFile(path, bytes);
}

describe('digestModel', () => {
  test('gives a moved model the same digests, whatever lies beside its files', async () => {
    const before = await digest(join(fixtures, 'llama-tiny'));
    expect(Object.keys(before).sort()).toEqual(['configuration', 'tokenizer', 'weights']);
    const copy = await copyOf('llama-tiny');
    await writeFile(join(copy, 'README.md'), 'notes');
    const moved = join(directory, 'moved');
    await rename(copy, moved);
    expect(await digest(moved)).toEqual(before);
    expect(await digest(`${directory}/./moved/`)).toEqual(before);
  });

  test.each([
    ['weights', 'llama-tiny', 'model.safetensors'],
    ['weights', 'llama-tiny-sharded-bf16', 'model-00002-of-00002.safetensors'],
    ['tokenizer', 'llama-tiny', 'tokenizer.json'],
    ['tokenizer', 'llama-tiny', 'tokenizer_config.json'],
    ['configuration', 'llama-tiny', 'config.json'],
    ['configuration', 'smolvlm-tiny', 'generation_config.json'],
  ] as const)('changes the digest of the %s alone with one bit of %s/%s', async (part, fixture, file) => {
    const copy = await copyOf(fixture);
    const before = await digest(copy);
    const { length } = await readFile(join(copy, file));
    for (const position of [0, Math.floor(length / 2), length - 1]) {
      await flipBit(join(copy, file), position);
      const after = await digest(copy);
      expect(after[part]).not.toBe(before[part]);
      expect({ ...after, [part]: '' }).toEqual({ ...before, [part]: '' });
      await flipBit(join(copy, file), position);
    }
    await appendFile(join(copy, file), ' ');
    expect((await digest(copy))[part]).not.toBe(before[part]);
  });

  test('notices a file that the loader would read and that was not there', async () => {
    const copy = await copyOf('llama-tiny');
    const before = await digest(copy);
    await writeFile(join(copy, 'chat_template.jinja'), '{{ messages }}');
    expect((await digest(copy)).tokenizer).not.toBe(before.tokenizer);
    await writeFile(join(copy, 'generation_config.json'), '{"eos_token_id": 1}');
    expect((await digest(copy)).configuration).not.toBe(before.configuration);
  });

  test('takes a GGUF file as a whole', async () => {
    const path = join(directory, 'model.gguf');
    await writeFile(path, 'GGUF and more');
    const before = await digest(path);
    expect(Object.keys(before)).toEqual(['file']);
    await writeFile(path, 'GGUF and mere');
    expect(await digest(path)).not.toEqual(before);
  });

  test('says what cannot be read', async () => {
    await expect(digest(join(directory, 'none'))).rejects.toMatchObject({ code: 'MODEL_FILE_MISSING' });
    await rm(join(await copyOf('llama-tiny-sharded-bf16'), 'model-00002-of-00002.safetensors'));
    await expect(digest(join(directory, 'llama-tiny-sharded-bf16'))).rejects.toThrow(/is missing, but/);
  });
});
