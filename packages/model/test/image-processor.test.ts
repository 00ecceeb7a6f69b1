import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ModelError, parseImageProcessor, readModelSpec } from '@contextlora/model';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { fixture } from './golden.js';

const parse = (tower: 'siglip' | 'clip', config: Readonly<Record<string, unknown>>) =>
  parseImageProcessor(config, { where: 'here', tower, imageSizePixels: 32 });

/** As transformers writes them (`save_pretrained`); sizes are the tests' towers'. */
const published = {
  idefics3: {
    do_convert_rgb: true,
    do_image_splitting: true,
    do_normalize: true,
    do_pad: true,
    do_rescale: true,
    do_resize: true,
    image_mean: [0.5, 0.5, 0.5],
    image_processor_type: 'Idefics3ImageProcessor',
    image_std: [0.5, 0.5, 0.5],
    max_image_size: { longest_edge: 32 },
    processor_class: 'Idefics3Processor',
    resample: 1,
    rescale_factor: 0.00392156862745098,
    size: { longest_edge: 128 },
  },
  clip: {
    crop_size: { height: 32, width: 32 },
    do_center_crop: true,
    do_convert_rgb: true,
    do_normalize: true,
    do_rescale: true,
    do_resize: true,
    image_mean: [0.48145466, 0.4578275, 0.40821073],
    image_processor_type: 'CLIPImageProcessor',
    image_std: [0.26862954, 0.26130258, 0.27577711],
    processor_class: 'LlavaProcessor',
    resample: 3,
    rescale_factor: 0.00392156862745098,
    size: { shortest_edge: 32 },
    crop_pct: null,
  },
} as const;

describe('settings are acted on', () => {
  test('as published models have them', () => {
    expect(parse('siglip', published.idefics3)).toEqual({
      resampling: 'lanczos',
      fit: { type: 'longest edge', pixels: 128, splits: true },
      rescale: 0.00392156862745098,
      mean: [0.5, 0.5, 0.5],
      deviation: [0.5, 0.5, 0.5],
    });
    expect(parse('clip', published.clip)).toMatchObject({
      resampling: 'bicubic',
      fit: { type: 'shortest edge', pixels: 32 },
    });
  });

  test('with the values of the class where one is missing or null', () => {
    const siglip = parse('siglip', {
      image_processor_type: 'SiglipImageProcessor',
      size: { height: 32, width: 32 },
    });
    expect(siglip).toMatchObject({ resampling: 'bicubic', fit: { type: 'square' }, mean: [0.5, 0.5, 0.5] });
    const idefics3 = parse('siglip', {
      resample: null,
      do_resize: null,
      max_image_size: { longest_edge: 32 },
    });
    expect(idefics3).toMatchObject({
      resampling: 'lanczos',
      fit: { type: 'longest edge', pixels: 1456, splits: true },
    });
    expect(() => parse('siglip', { image_processor_type: 'SmolVLMImageProcessor' })).toThrow(
      '"max_image_size" is 364 pixels, and the tower\'s images have 32',
    );
    expect(() => parse('clip', { size: 32 })).toThrow(
      '"crop_size" is 224, and the tower\'s images have 32 pixels',
    );
    expect(() => parse('clip', { crop_size: 32, size: null })).not.toThrow();
  });

  test.each([
    ['siglip', { size: 32, max_image_size: { longest_edge: 32 } }, { fit: { type: 'square' } }],
    ['siglip', { ...published.idefics3, do_image_splitting: false }, { fit: { splits: false } }],
    [
      'siglip',
      { ...published.idefics3, image_mean: 0.25, image_std: 2 },
      { mean: [0.25, 0.25, 0.25], deviation: [2, 2, 2] },
    ],
    [
      'siglip',
      { ...published.idefics3, image_processor_type: 'SmolVLMImageProcessorPil' },
      { resampling: 'lanczos' },
    ],
    ['clip', { ...published.clip, crop_size: 32, size: 48 }, { fit: { type: 'shortest edge', pixels: 48 } }],
    ['clip', { ...published.clip, size: { height: 32, width: 32 } }, { fit: { type: 'square' } }],
    ['clip', { ...published.clip, default_to_square: true, size: 32 }, { fit: { type: 'square' } }],
    [
      'clip',
      { ...published.clip, do_center_crop: false, crop_size: 99, size: { height: 32, width: 32 } },
      { fit: { type: 'square' } },
    ],
    [
      'clip',
      { feature_extractor_type: 'CLIPFeatureExtractor', crop_size: 32, size: 32, resample: 2 },
      { resampling: 'bilinear' },
    ],
  ] as const)('%s: %j', (tower, config, spec) => {
    expect(parse(tower, config)).toMatchObject(spec);
  });
});

describe('other settings are refused by name', () => {
  test.each([
    [
      'siglip',
      { do_thumbnail: true },
      'the setting "do_thumbnail" is unknown, and might change the pictures',
    ],
    ['siglip', { auto_map: { AutoImageProcessor: 'own.py' } }, 'the setting "auto_map" is unknown'],
    ['siglip', { size_divisor: 32 }, 'the setting "size_divisor" is unknown'],
    ['siglip', { size: 64 }, '"size" is 64; it must be the tower\'s'],
    ['siglip', { size: { longest_edge: '80' } }, '"size" asks for a longest edge of 80 pixels'],
    [
      'siglip',
      { size: { longest_edge: 80, shortest_edge: 40 } },
      'it must be the tower\'s or name "longest_edge"',
    ],
    ['siglip', { size: [32, 32] }, '"size" is [32,32]'],
    [
      'siglip',
      { image_processor_type: 'SiglipImageProcessor', size: { longest_edge: 32 } },
      "it must be the tower's",
    ],
    ['siglip', { image_processor_type: 'SiglipImageProcessor', do_pad: true }, '"do_pad" is true'],
    [
      'siglip',
      { image_processor_type: 'CLIPImageProcessor' },
      'the image processor is a CLIPImageProcessor; for this tower Idefics3ImageProcessor',
    ],
    ['siglip', { image_processor_type: 'toString' }, 'the image processor is a toString'],
    ['siglip', { max_image_size: 32 }, '"max_image_size" is 32 pixels'],
    ['siglip', { resample: '1' }, '"resample" is 1; 1 (lanczos)'],
    ['siglip', { resample: true }, '"resample" is true'],
    ['siglip', { do_center_crop: true }, '"do_center_crop" is true'],
    ['siglip', { do_rescale: false }, '"do_rescale" is false'],
    ['siglip', { do_resize: 0 }, '"do_resize" is 0, and must be true or false'],
    ['siglip', { do_image_splitting: 'no' }, '"do_image_splitting" is no, and must be true or false'],
    ['siglip', { data_format: 'channels_last' }, '"data_format" is channels_last'],
    ['siglip', { rescale_factor: 0 }, '"rescale_factor" is 0'],
    ['siglip', { image_mean: [0.5, 0.5] }, '"image_mean" is [0.5,0.5], and must be three numbers'],
    [
      'clip',
      { image_processor_type: 'LlavaNextImageProcessor' },
      'the image processor is a LlavaNextImageProcessor',
    ],
    ['clip', { do_pad: true }, '"do_pad" is true: pictures padded to a square are not supported'],
    ['clip', { do_image_splitting: true }, '"do_image_splitting" and "max_image_size" are not supported'],
    ['clip', { size: { shortest_edge: 32, longest_edge: 64 } }, 'it must name "shortest_edge" alone'],
    ['clip', { size: { height: 40, width: 40 } }, "be the tower's 32 pixels"],
    ['clip', { crop_size: { height: 32, width: 64 } }, '"crop_size" is {"height":32,"width":64}'],
    ['clip', { default_to_square: 1 }, '"default_to_square" is 1'],
  ] as const)('%s: %j', (tower, config, message) => {
    const base = tower === 'siglip' ? { max_image_size: { longest_edge: 32 } } : { crop_size: 32, size: 32 };
    expect(() => parse(tower, { ...base, ...config })).toThrow(message);
    expect(() => parse(tower, { ...base, ...config })).toThrow(ModelError);
  });

  test('all at once', () => {
    const config = { ...published.clip, do_pad: true, resample: 0, bogus: 1 };
    for (const part of ['"do_pad" is true', '"resample" is 0', '"bogus" is unknown'])
      expect(() => parse('clip', config)).toThrow(part);
  });
});

describe('the files of a model directory', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'processor-'));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  const specWith = async (model: string, files: Readonly<Record<string, object>>) => {
    for (const name of ['processor_config.json', 'preprocessor_config.json'])
      await rm(join(directory, name), { force: true });
    await copyFile(fixture(model, 'config.json'), join(directory, 'config.json'));
    for (const [name, content] of Object.entries(files))
      await writeFile(join(directory, name), JSON.stringify(content));
    return (await readModelSpec(directory)).vision!.processor;
  };

  test('the processor within processor_config.json comes before preprocessor_config.json', async () => {
    const files = {
      'processor_config.json': { image_processor: published.idefics3, processor_class: 'Idefics3Processor' },
      'preprocessor_config.json': { ...published.idefics3, size: { longest_edge: 64 } },
    };
    expect(await specWith('smolvlm-tiny', files)).toMatchObject({ fit: { pixels: 128 } });
    const { 'preprocessor_config.json': own } = files;
    const older = { 'processor_config.json': { image_seq_len: 4 }, 'preprocessor_config.json': own };
    expect(await specWith('smolvlm-tiny', older)).toMatchObject({ fit: { pixels: 64 } });
    const wrong = { ...published.idefics3, bogus: 1 };
    await expect(
      specWith('smolvlm-tiny', { 'processor_config.json': { image_processor: wrong } }),
    ).rejects.toThrow(/processor_config\.json: image_processor: the setting "bogus" is unknown/);
    expect(await specWith('smolvlm-tiny', {})).toMatchObject({ fit: { type: 'square' } });
  });

  test('a processor that writes another number of image tokens is refused', async () => {
    await expect(
      specWith('smolvlm-tiny', { 'processor_config.json': { image_seq_len: 169 } }),
    ).rejects.toThrow('"image_seq_len" is 169, and by config.json it is 4');
    const llava = (change: object) =>
      specWith('llava-tiny', {
        'processor_config.json': {
          patch_size: 8,
          vision_feature_select_strategy: 'default',
          num_additional_image_tokens: 1,
          ...change,
        },
      });
    expect(await llava({})).toMatchObject({ fit: { type: 'shortest edge' } });
    await expect(llava({ patch_size: 14 })).rejects.toThrow('"patch_size" is 14, and by config.json it is 8');
    await expect(llava({ vision_feature_select_strategy: 'full' })).rejects.toThrow(
      'by config.json it is default',
    );
    await expect(llava({ auto_map: { AutoProcessor: 'own.py' } })).rejects.toThrow(
      '"auto_map" names a processor',
    );
  });
});
