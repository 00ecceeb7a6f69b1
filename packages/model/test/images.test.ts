import { describe, expect, test } from '@jest/globals';
import { readSafetensors } from '@contextlora/lora/files';
import { toFloat32 } from '@contextlora/lora/safetensors';
import {
  ModelError,
  parseImageProcessor,
  readImage,
  readImageTiles,
  readPicture,
  resizeImage,
  type Resampling,
} from '@contextlora/model';

import { fixture, worstDifference } from './golden.js';

const { tensors } = await readSafetensors(fixture('images', 'expected.safetensors'));
const expected = (name: string) => {
  const tensor = tensors.get(name);
  if (!tensor) throw new Error(`no golden tensor ${name}`);
  return { shape: tensor.shape, values: tensor.dtype === 'U8' ? tensor.bytes : toFloat32(tensor) };
};
const files = ['photo.jpg', 'plain.png', 'alpha.png', 'grey.png', 'turned.jpg', 'small.png'];
const nameOf = (file: string) => file.split('.', 1)[0] ?? '';
const at = { where: 'preprocessor_config.json', imageSizePixels: 32 };
const split = {
  size: { longest_edge: 80 },
  max_image_size: { longest_edge: 32 },
  image_mean: [0.5, 0.4, 0.3],
  image_std: [0.5, 0.25, 0.2],
};
const idefics3 = { ...at, processor: parseImageProcessor(split, { ...at, tower: 'siglip' }) };

describe.each(files)('%s', (file) => {
  const path = fixture('images', file);

  test('is decoded to the pixels of Pillow', async () => {
    const { width, height, pixels } = await readPicture(path);
    const { shape, values } = expected(`${nameOf(file)}.pixels`);
    expect([height, width, 3]).toEqual(shape);
    expect(worstDifference(pixels, values)).toBe(0);
  });

  test.each(['lanczos', 'bicubic', 'bilinear'] as Resampling[])(
    'is resized %s to the pixels of Pillow',
    async (resampling) => {
      const image = await readPicture(path);
      for (const [width, height] of [
        [23, 17],
        [40, 61],
      ] as const) {
        const { values } = expected(`${nameOf(file)}.${resampling}.${width}x${height}`);
        expect(worstDifference(resizeImage(image, { width, height }, resampling).pixels, values)).toBe(0);
      }
    },
  );

  test('is processed as Idefics3 and CLIP do', async () => {
    const { values } = expected(`${nameOf(file)}.idefics3`);
    expect(worstDifference(await readImage(path, idefics3), values)).toBeLessThan(1e-6);
    const config = { size: { shortest_edge: 40 }, crop_size: { height: 32, width: 32 } };
    const processor = parseImageProcessor(config, { ...at, tower: 'clip' });
    const clip = expected(`${nameOf(file)}.clip`).values;
    expect(worstDifference(await readImage(path, { ...at, processor }), clip)).toBeLessThan(1e-6);
  });
});

test.each(['photo.idefics3', 'photo.smolvlm', 'plain.idefics3', 'small.idefics3'])(
  '%s is split into the same tiles',
  async (name) => {
    const file = files.find((other) => nameOf(other) === nameOf(name)) ?? '';
    const { rows, columns, images } = await readImageTiles(fixture('images', file), idefics3);
    const { shape, values } = expected(`${name}.tiles`);
    expect(images).toHaveLength(shape[0] ?? 0);
    expect(rows * columns + 1).toBe(images.length);
    for (const [i, image] of images.entries())
      expect(
        worstDifference(image, (values as Float32Array).subarray(i * image.length, (i + 1) * image.length)),
      ).toBeLessThan(1e-6);
  },
);

test.each([
  ['siglip', { resample: 0 }, '"resample" is 0; 1 (lanczos), 2 (bilinear) and 3 (bicubic)'],
  ['siglip', { do_normalize: false }, '"do_normalize" is false'],
  ['siglip', { max_image_size: { longest_edge: 64 } }, '"max_image_size" is 64 pixels'],
  ['siglip', { size: { longest_edge: 1e9 } }, 'a longest edge of 1000000000 pixels'],
  ['siglip', { size: { height: 64, width: 64 } }, 'must be the tower’s'.replace('’', "'")],
  ['siglip', { image_std: [1, 0, 1] }, '"image_std" is [1,0,1]'],
  ['clip', { size: { shortest_edge: 16 } }, 'a shortest edge of 16 pixels'],
  ['clip', { size: 32, crop_size: 24 }, '"crop_size" is 24'],
  ['clip', { do_center_crop: false, size: { height: 16, width: 32 } }, 'without a crop'],
] as const)('a processor of a %s tower with %j is refused', (tower, config, message) => {
  const parse = () => parseImageProcessor(config, { ...at, tower });
  expect(parse).toThrow(message);
  expect(parse).toThrow(ModelError);
});

test('a file that is not a picture is refused by name', async () => {
  await expect(readPicture(fixture('README.md'))).rejects.toThrow(/cannot read .*README\.md as a picture/);
});
