import { expect, test } from '@jest/globals';
import { openKernels } from '@contextlora/kernels';
import {
  generate,
  imageText,
  loadModel,
  type LoadedModel,
  ModelError,
  openTokenizer,
  parseImageProcessor,
  parseModelSpec,
  promptIds,
  readImageTiles,
  readTokenizer,
  withImageTexts,
} from '@contextlora/model';
import { readFile } from 'node:fs/promises';

import { fixture } from './golden.js';

const json = async (...path: string[]) =>
  JSON.parse(await readFile(fixture(...path), 'utf8')) as Record<string, unknown>;
const { added, prompts } = (await json('images', 'prompts.json')) as {
  added: readonly { id: number; content: string }[];
  prompts: readonly {
    processor: string;
    text: string;
    pictures: readonly string[];
    splits: boolean;
    ids: readonly number[];
  }[];
};
const tokenizerJson = await json('smolvlm-tiny', 'tokenizer.json');
const spec = parseModelSpec(await json('smolvlm-tiny', 'config.json'), 'config.json');
const where = { where: 'preprocessor_config.json', imageSizePixels: 32 };
const tokenizer = openTokenizer(
  {
    json: {
      ...tokenizerJson,
      added_tokens: [
        ...(tokenizerJson['added_tokens'] as object[]),
        ...added.map((token) => ({
          ...token,
          single_word: false,
          lstrip: false,
          rstrip: false,
          normalized: false,
          special: true,
        })),
      ],
    },
    config: await json('smolvlm-tiny', 'tokenizer_config.json'),
  },
  'tokenizer.json',
);
/** The parts of a model that are read. */
const framed = { spec, tokenizer } as LoadedModel;

test.each(prompts.map((prompt) => [prompt.processor, prompt.text, prompt.pictures.join(), prompt] as const))(
  '%s: %j with %s has the ids of the reference processor',
  async (_processor, _text, _pictures, { text, pictures, splits, ids }) => {
    const sizes = { size: { longest_edge: 80 }, max_image_size: { longest_edge: 32 } };
    const processor = parseImageProcessor(
      { ...sizes, do_image_splitting: splits },
      { ...where, tower: 'siglip' },
    );
    const layouts = await Promise.all(
      pictures.map((name) => readImageTiles(fixture('images', name), { ...where, processor })),
    );
    const prompt = withImageTexts(framed, text, layouts);
    expect(tokenizer.encode(prompt)).toEqual(ids);
    const images = layouts.reduce((sum, { images: tiles }) => sum + tiles.length, 0);
    expect(ids.filter((id) => id === spec.vision!.imageTokenId)).toHaveLength(
      images * spec.vision!.tokenCount,
    );
  },
);

test('an example’s picture is framed if the tokenizer frames pictures, and plain otherwise', async () => {
  const unsplit = prompts.find(({ splits, text }) => !splits && text.startsWith('<image>what'))!;
  const prompt = unsplit.text.slice('<image>'.length);
  expect(promptIds(framed, { prompt, image: 'photo.jpg' })).toEqual(unsplit.ids);
  const plain = { spec, tokenizer: await readTokenizer(fixture('smolvlm-tiny')) } as LoadedModel;
  expect(promptIds(plain, { prompt, image: 'photo.jpg' })).toEqual([
    3,
    3,
    3,
    3,
    ...plain.tokenizer.encode(prompt),
  ]);
  expect(imageText(plain)).toBe('<image>'.repeat(4));
  const split = () => imageText(plain, { rows: 2, columns: 3 });
  expect(split).toThrow('split into 2 × 3 tiles, but the tokenizer has no "<fake_token_around_image>"');
  expect(split).toThrow(ModelError);
});

test('a prompt with more or fewer image tokens than pictures, or for a model without a tower, is refused', async () => {
  const one = [{ rows: 0, columns: 0 }];
  expect(() => withImageTexts(framed, 'no picture', one)).toThrow(
    'model/withImageTexts: the prompt has 0 image tokens "<image>", but 1 pictures are given',
  );
  expect(() => withImageTexts(framed, '<image> and <image>', one)).toThrow('has 2 image tokens');
  const text = parseModelSpec(await json('llama-tiny', 'config.json'), 'config.json');
  const blind = { spec: text, tokenizer } as LoadedModel;
  expect(() => imageText(blind)).toThrow('the model has no vision tower');
  expect(withImageTexts(blind, 'as <image> it is', [])).toBe('as <image> it is');
});

test('a prompt whose text contains an image token is refused and not filled with another row’s image', async () => {
  const kernels = await openKernels({ prefer: 'reference' });
  const model = await loadModel(fixture('smolvlm-tiny'), { kernels });
  const { tokenCount, connector } = model.spec.vision!;
  const image = new Float32Array(tokenCount * connector.inFeatures).fill(0.1);
  const first = (prompt: string | number[]) => generate(model, prompt, { image, maximumNewTokens: 1 }).next();
  expect((await first('what is it ?')).done).toBe(false);
  await expect(first('what is <image> ?')).rejects.toThrow(
    'model/languagePass: row 0 has 5 image tokens, but its images have features for 4; does its text contain an image token?',
  );
  await expect(first([40, 41])).rejects.toThrow('row 0 has 0 image tokens');
  model.dispose();
  kernels.dispose();
});
