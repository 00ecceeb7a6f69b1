import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { inspectPicture, readPicture } from '@contextlora/model';
import sharp from 'sharp';

import { fixture } from './golden.js';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pictures-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const written = async (name: string, content: Uint8Array | string) => {
  const path = join(directory, name);
  await writeFile(path, content);
  return inspectPicture(path);
};
const blank = (format: 'png' | 'jpeg' | 'webp' | 'gif' | 'tiff', width = 8, height = 8) =>
  sharp({ create: { width, height, channels: 3, background: 'red' } })
    .toFormat(format)
    .toBuffer();

test('what can be read as a picture has no problem, whatever its name', async () => {
  for (const file of ['photo.jpg', 'plain.png', 'alpha.png', 'grey.png', 'turned.jpg', 'small.png'])
    expect(await inspectPicture(fixture('images', file))).toBeUndefined();
  for (const format of ['png', 'jpeg', 'webp'] as const)
    expect(await written('picture.bin', await blank(format))).toBeUndefined();
  // As some cameras do.
  expect(await written('more.jpg', Buffer.concat([await blank('jpeg'), Buffer.alloc(1000)]))).toBeUndefined();
});

test('a file that is missing, a folder or of another kind is named', async () => {
  expect(await inspectPicture(join(directory, 'none.png'))).toBe('there is no such file');
  await mkdir(join(directory, 'folder.png'));
  expect(await inspectPicture(join(directory, 'folder.png'))).toBe('it is not a file');
  for (const [content, name] of [
    ['', 'empty'],
    ['<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>', 'an SVG or XML file'],
    ['%PDF-1.4', 'a PDF file'],
    ['hello', 'no picture'],
    [await blank('gif'), 'a GIF file'],
    [await blank('tiff'), 'a TIFF file'],
  ] as const)
    expect(await written('other.png', content)).toBe(
      `it is ${name}; only PNG, JPEG and WebP are read, so convert it`,
    );
});

test('a picture that is cut off is named, as decoding it would fail', async () => {
  for (const format of ['png', 'jpeg', 'webp'] as const) {
    const whole = await sharp(await readFile(fixture('images', 'photo.jpg')))
      .toFormat(format)
      .toBuffer();
    expect(await written('cut', whole.subarray(0, whole.length / 2))).toMatch(/file is cut off$/);
    await expect(readPicture(join(directory, 'cut'))).rejects.toThrow('cannot read');
  }
});

test('a picture of too many pixels is named from its head, without decoding it', async () => {
  const png = await blank('png');
  png.writeUInt32BE(100_000, 16);
  png.writeUInt32BE(50_000, 20);
  expect(await written('huge.png', png)).toBe(
    'it has 100000 × 50000 pixels; at most 64 million are read, so make it smaller',
  );
  expect(await written('wide.jpg', await blank('jpeg', 16_000, 4_001))).toMatch('16000 × 4001 pixels');
  png.writeUInt32BE(0, 16);
  expect(await written('none.png', png)).toBe('the PNG file has no pixels');
});
