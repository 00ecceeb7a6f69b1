import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ModelError, openTokenizer, readTokenizer } from '@contextlora/model';
import fc from 'fast-check';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { fixture } from './golden.js';

interface Expected {
  texts: string[];
  cases: { name: string; json: object; ids: number[][]; decoded: [number[], string, string][] }[];
}
const { texts, cases } = JSON.parse(await readFile(fixture('tokenizers-expected.json'), 'utf8')) as Expected;
const open = (json: object, config = {}) => openTokenizer({ json, config }, 'tokenizer.json');

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tokenizers-'));
});
afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

test.each(cases)('$name: ids and texts are those of the tokenizers library', ({ json, ids, decoded }) => {
  const tokenizer = open(json);
  expect(texts.map((text) => tokenizer.encode(text))).toEqual(ids);
  for (const [given, whole, plain] of decoded)
    expect([given, tokenizer.decode(given), tokenizer.decode(given, { skipSpecialTokens: true })]).toEqual([
      given,
      whole,
      plain,
    ]);
});

test('a byte-level tokenizer gives every text back', () => {
  const { json } = cases.find(({ name }) => name === 'GPT-2')!;
  // Added tokens may take the spaces around them.
  const tokenizer = open({ ...json, added_tokens: [] });
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
    }),
    { seed: 1 },
  );
});

const plain = cases.find(({ name }) => name === 'GPT-2')!.json as { model: object };
test.each([
  ['normalizer', { normalizer: { type: 'Precompiled' } }, 'the normalizer "Precompiled" is not supported'],
  [
    'pre_tokenizer',
    { pre_tokenizer: { type: 'UnicodeScripts' } },
    'the pre_tokenizer "UnicodeScripts" is not supported',
  ],
  ['decoder', { decoder: { type: 'CTC' } }, 'the decoder "CTC" is not supported'],
  ['model', { model: { type: 'Other', vocab: {} } }, 'the model "Other" is not supported'],
  ['dropout', { model: { ...plain.model, dropout: 0.1 } }, '"dropout" 0.1 would encode at random'],
  [
    'suffix',
    { model: { ...plain.model, end_of_word_suffix: '</w>' } },
    '"end_of_word_suffix" "</w>" is not supported',
  ],
  [
    'behavior',
    { pre_tokenizer: { type: 'Split', pattern: { String: 'a' }, behavior: 'Odd' } },
    'the behavior "Odd" of "Split" is not supported',
  ],
  [
    'tokens at the end',
    {
      post_processor: {
        type: 'TemplateProcessing',
        single: [{ Sequence: { id: 'A' } }, { SpecialToken: { id: '</s>' } }],
        special_tokens: { '</s>': { ids: [1] } },
      },
    },
    'its post_processor puts 0 tokens before a text and 1 after it',
  ],
  [
    'id',
    { added_tokens: [{ id: 3, content: '<odd>', special: true }] },
    'the added token "<odd>" says id 3, but the vocabulary gives it 273',
  ],
  [
    'token of nothing',
    {
      normalizer: { type: 'Strip', strip_left: true, strip_right: true },
      added_tokens: [{ id: 273, content: ' ', normalized: true }],
    },
    'nothing is left of the added token " " when it is normalized',
  ],
  [
    'Metaspace',
    {
      normalizer: { type: 'Strip', strip_left: true, strip_right: false },
      pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: true },
    },
    'a Metaspace with "prepend_scheme" "first" after a normalizer that drops characters is not supported',
  ],
])('a tokenizer.json with another %s is refused by name', (_, change, message) => {
  const attempt = () => open({ ...plain, ...change });
  expect(attempt).toThrow(ModelError);
  expect(attempt).toThrow(message);
});

/** llama-tiny's tokenizer with changed files; null removes a file, a text is written as it is. */
async function changed(files: Readonly<Record<string, object | string | null>>) {
  const path = await mkdtemp(join(directory, 'model-'));
  await cp(fixture('llama-tiny'), path, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    const file = join(path, name);
    await mkdir(join(file, '..'), { recursive: true });
    if (content === null) await rm(file);
    else await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
  }
  return path;
}
const config = JSON.parse(await readFile(fixture('llama-tiny', 'tokenizer_config.json'), 'utf8')) as object;
const unnamed = { ...config, bos_token: undefined, eos_token: undefined, pad_token: undefined };
const map = {
  bos_token: '<|im_start|>',
  eos_token: { content: '<|im_end|>', lstrip: false },
  pad_token: '<pad>',
};
const ids = { bos_token_id: 1, eos_token_id: [3, 2], pad_token_id: 4 };

// What AutoTokenizer of transformers 5.24 reads; where it has no token, the ids of the model's own files.
test.each([
  [
    'special_tokens_map.json',
    { 'tokenizer_config.json': unnamed, 'special_tokens_map.json': map },
    [1, 2, 4],
  ],
  [
    'special_tokens_map.json before tokenizer_config.json',
    {
      'tokenizer_config.json': { ...config, eos_token: '<pad>' },
      'special_tokens_map.json': map,
    },
    [1, 2, 4],
  ],
  [
    'tokenizer_config.json alone once it lists its tokens',
    {
      'tokenizer_config.json': { ...config, eos_token: '<pad>', added_tokens_decoder: {} },
      'special_tokens_map.json': map,
    },
    [1, 4, 4],
  ],
  ['generation_config.json', { 'tokenizer_config.json': unnamed, 'generation_config.json': ids }, [1, 3, 4]],
  [
    'config.json, without generation_config.json',
    { 'tokenizer_config.json': unnamed, 'generation_config.json': null, 'config.json': { text_config: ids } },
    [1, 3, 4],
  ],
  [
    'no file',
    { 'tokenizer_config.json': null, 'generation_config.json': {}, 'config.json': {} },
    [undefined, undefined, 0],
  ],
])('begin, end and padding come from %s', async (_, files, expected) => {
  const { beginId, endId, padId } = await readTokenizer(await changed(files));
  expect([beginId, endId, padId]).toEqual(expected);
});

test('tokens that only tokenizer_config.json names are found in a text and are special', async () => {
  const json = JSON.parse(await readFile(fixture('llama-tiny', 'tokenizer.json'), 'utf8')) as {
    added_tokens: { content: string }[];
  };
  const without = { ...json, added_tokens: json.added_tokens.filter(({ content }) => content !== '<pad>') };
  const listed = {
    ...config,
    added_tokens_decoder: { 4: { content: '<pad>', special: true } },
  };
  const path = await changed({ 'tokenizer.json': without, 'tokenizer_config.json': listed });
  const tokenizer = await readTokenizer(path);
  expect(tokenizer.encode('<pad>')).toEqual([4]);
  expect(tokenizer.decode([4], { skipSpecialTokens: true })).toBe('');
});

// ids of AutoTokenizer (transformers 5.24), which replaces the normalizer of a LlamaTokenizer by Metaspace.
test.each([
  [{}, ['▁▁', 'x'], ['<s>', '▁hello', '</s>', '▁▁', 'x']],
  [{ tokenizer_class: 'LlamaTokenizerFast' }, ['▁x'], ['<s>', 'hello', '</s>', '▁x']],
  [{ tokenizer_class: 'LlamaTokenizer', legacy: true }, ['▁x'], ['<s>', '▁hello', '</s>', '▁x']],
  [{ tokenizer_class: 'LlamaTokenizer', add_prefix_space: false }, ['▁x'], ['<s>', 'hello', '</s>', '▁x']],
])('spaces are marked as the class in tokenizer_config.json does: %j', async (type, spaced, chat) => {
  const { json } = cases.find(({ name }) => name === 'Llama 2')!;
  const path = await changed({ 'tokenizer.json': json, 'tokenizer_config.json': { ...type } });
  const tokenizer = await readTokenizer(path);
  const tokens = (text: string) =>
    tokenizer
      .encode(text)
      .map((id) => [...spaced, ...chat].find((token) => tokenizer.idOf(token) === id) ?? id);
  expect(tokens(' x')).toEqual(spaced);
  expect(tokens('<s>hello</s> x')).toEqual(chat);
});

test('files with a byte order mark are read, and those in another encoding are named', async () => {
  const mark = '\ufeff';
  const marked = await readFile(fixture('llama-tiny', 'tokenizer.json'), 'utf8');
  const path = await changed({
    'tokenizer.json': mark + marked,
    'tokenizer_config.json': mark + JSON.stringify(config),
    'chat_template.jinja': `${mark}hello`,
  });
  const tokenizer = await readTokenizer(path);
  expect([tokenizer.endId, tokenizer.chatTemplate]).toEqual([2, 'hello']);
  const file = join(path, 'tokenizer_config.json');
  await writeFile(file, Buffer.from(mark + JSON.stringify(config), 'utf16le'));
  await expect(readTokenizer(path)).rejects.toThrow('tokenizer_config.json is UTF-16; save it as UTF-8');
  await writeFile(file, Buffer.from([0x7b, 0xe9, 0x7d]));
  await expect(readTokenizer(path)).rejects.toThrow('tokenizer_config.json is not UTF-8; save it as UTF-8');
});
