import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readSafetensors } from '@contextlora/lora/files';
import { toFloat32 } from '@contextlora/lora/safetensors';
import {
  checkPicture,
  ModelError,
  parseImageProcessor,
  readImage,
  readImageTiles,
  readPicture,
} from '@contextlora/model';
import fc from 'fast-check';
import { mkdtemp, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import sharp from 'sharp';

import { fixture, worstDifference } from './golden.js';
import { pngOf } from './write-picture.js';

const { tensors } = await readSafetensors(fixture('pictures', 'expected.safetensors'));
const names = [...tensors.keys()].filter((name) => /\.(jpg|png|webp)$/.test(name));
const expected = (name: string) => tensors.get(name)!;
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pictures-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

let count = 0;
/** Writes a file and reads it as a picture. */
async function readBytes(bytes: Uint8Array | string, name = `${count++}.png`) {
  const path = join(directory, name);
  await writeFile(path, bytes);
  return readPicture(path);
}
async function refusal(bytes: Uint8Array | string, name?: string): Promise<ModelError> {
  const error = await readBytes(bytes, name).then(
    ({ width, height }) => new Error(`was read as ${width} × ${height} pixels`),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ModelError);
  expect((error as ModelError).message).toContain(`cannot read ${directory}`);
  return error as ModelError;
}
const original = (name: string) => readFile(fixture('pictures', name));

describe('the pixels are those of Pillow', () => {
  test.each(names)('%s', async (name) => {
    const { width, height, pixels } = await readPicture(fixture('pictures', name));
    expect([height, width, 3]).toEqual(expected(name).shape);
    expect(worstDifference(pixels, expected(name).bytes)).toBe(0);
  });

  test('there are pictures of every kind', () => {
    for (const kind of ['jpeg-cmyk', 'jpeg-ycck', 'jpeg-progressive', 'jpeg-sampled', 'jpeg-orientation'])
      expect(names.some((name) => name.startsWith(kind))).toBe(true);
    for (const kind of ['png-grey16', 'png-rgb16', 'png-palette8-trns', 'png-icc', 'png-gamma', 'webp-lossy'])
      expect(names.some((name) => name.startsWith(kind))).toBe(true);
    expect(names.length).toBeGreaterThan(100);
  });

  test('whatever the file is called, and whatever follows its end', async () => {
    for (const name of ['png-rgb.png', 'jpeg-420.jpg', 'webp-lossy.webp']) {
      const bytes = Buffer.concat([await original(name), Buffer.from('something else')]);
      const { pixels } = await readBytes(bytes, `${name}.svg`);
      expect(worstDifference(pixels, expected(name).bytes)).toBe(0);
    }
  });
});

const idefics3 = {
  imageSizePixels: 32,
  processor: parseImageProcessor(
    { size: { longest_edge: 80 }, max_image_size: { longest_edge: 32 } },
    { where: 'here', tower: 'siglip', imageSizePixels: 32 },
  ),
};
const processorOf = (tower: 'siglip' | 'clip', config: Readonly<Record<string, unknown>>) => ({
  imageSizePixels: 32,
  processor: parseImageProcessor(config, { where: 'here', tower, imageSizePixels: 32 }),
});

test('a picture of 400 × 1 pixels is prepared as the reference processors do', async () => {
  const path = fixture('pictures', 'png-wide.png');
  const close = (image: Float32Array | undefined, name: string, at = 0) => {
    const values = toFloat32(expected(name)).subarray(at * 3072, (at + 1) * 3072);
    expect(worstDifference(image!, values)).toBeLessThan(1e-6);
  };
  close(await readImage(path, idefics3), 'png-wide.idefics3');
  const { images } = await readImageTiles(path, idefics3);
  expect(images).toHaveLength(expected('png-wide.tiles').shape[0]!);
  for (const [i, image] of images.entries()) close(image, 'png-wide.tiles', i);
  const clip = {
    size: { shortest_edge: 40 },
    crop_size: 32,
    image_mean: 0.5,
    image_std: 0.25,
  };
  close(await readImage(path, processorOf('clip', clip)), 'png-wide.clip');
  const siglip = { image_processor_type: 'SiglipImageProcessorFast', size: { height: 32, width: 32 } };
  close(await readImage(path, processorOf('siglip', siglip)), 'png-wide.siglip');
});

test('a picture that would be scaled to far more pixels is refused before it is', async () => {
  const path = join(directory, 'narrow.png');
  await writeFile(path, pngOf({ width: 1, height: 64_000, colour: 0 }));
  const clip = processorOf('clip', { size: { shortest_edge: 32 }, crop_size: 32 });
  await expect(readImage(path, clip)).rejects.toThrow(
    /narrow\.png has 1 × 64000 pixels, and would be scaled to 32 × 2048000; crop it/,
  );
  expect(await readImage(path, idefics3)).toHaveLength(3 * 32 * 32);
});

describe('other formats are refused by name, as PNG, too', () => {
  const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="secret.png"/></svg>';
  const grey = sharp({ create: { width: 8, height: 8, channels: 3, background: '#888' } });
  test.each([
    ['an SVG', svg],
    ['an SVG', `\ufeff<?xml version="1.0"?>\n<!-- a comment -->\n<!DOCTYPE svg>\n${svg}`],
    ['an SVG', `<!-- ${'x'.repeat(2000)} -->\n${svg}`],
    ['an SVG', svg.replaceAll('svg', 's:svg')],
    ['a gzip file (such as SVGZ)', gzipSync(svg)],
    ['a GIF', grey.clone().gif()],
    ['a TIFF', grey.clone().tiff()],
    ['an AVIF', grey.clone().avif()],
    ['a HEIF', Buffer.from('\0\0\0\x18ftypheic\0\0\0\0mif1heic', 'latin1')],
    ['a video or another MPEG-4 file', Buffer.from('\0\0\0\x18ftypisom\0\0\0\0isom', 'latin1')],
    ['a PDF', '%PDF-1.7\n'],
    ['a BMP', Buffer.from('BM\x46\0\0\0\0\0\0\0\x36\0\0\0', 'latin1')],
    ['a JPEG XL', Buffer.from([0xff, 0x0a, 1, 2])],
    ['a JPEG 2000', Buffer.from('\0\0\0\fjP  \r\n', 'latin1')],
    ['a Photoshop file', '8BPS\0\x01'],
    ['a PNM', 'P6 1 1 255\nabc'],
    ['a RIFF file, but no WebP', 'RIFF....WAVE'],
    ['a Git LFS pointer', 'version https://git-lfs.github.com/spec/v1\n'],
    ['an HTML page', '<!DOCTYPE html><html>'],
    ['an empty file', ''],
    ['a file of another kind', 'hello'],
  ])('%s', async (name, content) => {
    const bytes =
      typeof content === 'string' || content instanceof Uint8Array ? content : await content.toBuffer();
    const error = await refusal(bytes, `${name.replaceAll(/\W/g, '')}.png`);
    expect(error.code).toBe('MODEL_UNSUPPORTED');
    expect(error.message).toContain(`as a picture: it is ${name}`);
    expect(error.message).toContain('; PNG, JPEG and WebP are read');
  });

  test('animations', async () => {
    const frames = await Promise.all(
      ['#888', '#f00'].map((background) =>
        sharp({ create: { width: 8, height: 8, channels: 3, background } })
          .png()
          .toBuffer(),
      ),
    );
    const webp = await sharp(frames, { join: { animated: true } })
      .webp()
      .toBuffer();
    expect((await refusal(webp)).message).toContain('it is an animated WebP');
    const control = Buffer.from([0, 0, 0, 1, 0, 0, 0, 0]);
    const apng = pngOf({ width: 2, height: 2, before: [['acTL', control]] });
    expect((await refusal(apng)).message).toContain('it is an animated PNG');
  });

  test('rare kinds of the three formats', async () => {
    const jpeg = await original('jpeg-444.jpg');
    const frame = jpeg.indexOf(Buffer.from([0xff, 0xc0]));
    const changed = (at: number, value: number) => {
      const copy = Buffer.from(jpeg);
      copy[at] = value;
      return copy;
    };
    expect((await refusal(changed(frame + 1, 0xc9))).message).toContain(
      'it is a JPEG with arithmetic coding',
    );
    expect((await refusal(changed(frame + 1, 0xc3))).message).toContain('it is a lossless JPEG');
    expect((await refusal(changed(frame + 1, 0xc5))).message).toContain('it is a hierarchical JPEG');
    expect((await refusal(changed(frame + 4, 12))).message).toContain('it is a JPEG of 12 bits a sample');
    const unknown = pngOf({ width: 2, height: 2, before: [['NEWx', new Uint8Array()]] });
    expect((await refusal(unknown)).message).toContain('it is a PNG with the unknown chunk NEWx');
    const apple = pngOf({ width: 2, height: 2, before: [['CgBI', new Uint8Array(4)]] });
    expect((await refusal(apple)).message).toContain('in the form of Xcode');
  });
});

test('a file of too many bytes is refused before it is read', async () => {
  const path = join(directory, 'huge.png');
  await writeFile(path, pngOf({ width: 1, height: 1, rows: new Uint8Array(4) }));
  // The rest is a hole, which takes no room on the disk.
  await truncate(path, 2 ** 28 + 1);
  await expect(readPicture(path)).rejects.toThrow('it has 269 MB, and at most 268 are read');
});

describe('too large pictures are refused by their header, before they are decoded', () => {
  test.each([
    ['png', [60_000, 60_000]],
    ['jpg', [65_500, 65_500]],
    ['webp', [16_383, 16_383]],
  ] as const)('%s', async (format, [width, height]) => {
    const bytes = {
      png: () => pngOf({ width, height, rows: new Uint8Array(10) }),
      jpg: async () => {
        const jpeg = await original('jpeg-444.jpg');
        const frame = jpeg.indexOf(Buffer.from([0xff, 0xc0]));
        jpeg.writeUInt16BE(height, frame + 5);
        jpeg.writeUInt16BE(width, frame + 7);
        return jpeg;
      },
      webp: async () => {
        const webp = await original('webp-lossy.webp');
        webp.writeUInt16LE(width, 26);
        webp.writeUInt16LE(height, 28);
        return webp;
      },
    }[format];
    const error = await refusal(await bytes());
    expect(error.code).toBe('MODEL_UNSUPPORTED');
    expect(error.message).toContain(
      `it has ${width} × ${height} pixels, and at most 64 million are read; make it smaller`,
    );
  });
});

describe('damage is found', () => {
  test.each(names)('%s cut short', async (name) => {
    const bytes = await original(name);
    const end = name === 'jpeg-trailing.jpg' ? bytes.length - 'trailing bytes'.length : bytes.length;
    for (const length of [13, 20, 33, Math.floor(end / 3), Math.floor(end / 2), end - 20, end - 3, end - 1])
      if (length < end) expect((await refusal(bytes.subarray(0, length))).message).toContain('damaged');
  });

  test('a bit that changed anywhere in a PNG', async () => {
    const pngs = await Promise.all(names.filter((name) => name.endsWith('.png')).map(original));
    await fc.assert(
      fc.asyncProperty(fc.nat(pngs.length - 1), fc.nat(), fc.nat(7), async (file, at, bit) => {
        const bytes = Buffer.from(pngs[file]!);
        bytes[at % bytes.length]! ^= 1 << bit;
        await refusal(bytes);
      }),
      { numRuns: 300 },
    );
  });

  test('whatever a file holds, it is read or refused with an error of this package', async () => {
    const all = await Promise.all(names.map(original));
    await fc.assert(
      fc.asyncProperty(
        fc.nat(all.length - 1),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 8 }),
        async (file, changes) => {
          const bytes = Buffer.from(all[file]!);
          for (const [at, value] of changes) bytes[at % bytes.length] = value;
          const read = await readBytes(bytes, 'changed').catch((error: unknown) => error);
          if (read instanceof Error) expect(read).toBeInstanceOf(ModelError);
          else {
            const { width, height, pixels } = read as Awaited<ReturnType<typeof readPicture>>;
            expect(pixels).toHaveLength(width * height * 3);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  test('pixels that are missing although every check sum is right', async () => {
    const rows = new Uint8Array(5 * 16);
    expect((await refusal(pngOf({ width: 5, height: 8, rows }))).message).toContain('damaged PNG');
  });

  test('a picture without pixels, a header or a palette', async () => {
    expect((await refusal(pngOf({ width: 0, height: 4 }))).message).toContain('it has 0 × 4 pixels');
    const jpeg = await original('jpeg-444.jpg');
    jpeg.writeUInt16BE(0, jpeg.indexOf(Buffer.from([0xff, 0xc0])) + 5);
    expect((await refusal(jpeg)).message).toContain('it has 37 × 0 pixels');
    expect((await refusal(Buffer.from([0xff, 0xd8, 0xff, 0xd9]))).message).toContain('it is cut short');
    expect((await refusal('RIFF\x04\0\0\0WEBP')).message).toContain('it has no pixels');
    const exif = Buffer.from('no TIFF at all');
    expect((await refusal(pngOf({ width: 2, height: 2, before: [['eXIf', exif]] }))).message).toContain(
      'its Exif data are no TIFF',
    );
  });
});

test('a picture is checked without its pixels', async () => {
  expect(await checkPicture(fixture('pictures', 'jpeg-orientation-6.jpg'))).toEqual({
    width: 37,
    height: 23,
  });
  const path = join(directory, 'short.png');
  await writeFile(path, (await original('png-rgb.png')).subarray(0, 200));
  await expect(checkPicture(path)).rejects.toThrow('it is a damaged PNG: it is cut short in chunk IDAT');
});

test('what is no file, or cannot be opened, is said', async () => {
  await expect(readPicture(directory)).rejects.toThrow('it is not a file');
  const missing = readPicture(join(directory, 'missing.png'));
  await expect(missing).rejects.toMatchObject({ code: 'MODEL_FILE_MISSING' });
  await expect(missing).rejects.toThrow(/cannot read .*missing\.png as a picture: it cannot be opened/);
  await symlink('/dev/zero', join(directory, 'endless.png'));
  await expect(readPicture(join(directory, 'endless.png'))).rejects.toThrow('it is not a file');
});
