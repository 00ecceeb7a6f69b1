import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { expandWeight, openKernels, type Kernels } from '@contextlora/kernels';
import {
  languageLogits,
  languageLoss,
  linearsOf,
  loadModel,
  ModelError,
  openCheckpoint,
} from '@contextlora/model';
import { dispose, tensor2d } from '@contextlora/kernels/tfjs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { batchOfGolden, fixture, Golden, worstDifference } from './golden.js';
import { smallGguf, type Value, writeGguf, type WrittenTensor } from './write-gguf.js';

describe.each(['f16', 'q8_0', 'q4_0', 'q4_1'])('a GGUF file in %s', (type) => {
  const path = fixture('gguf-tiny', `llama-tiny.${type}.gguf`);

  test('has the expected tensors to the bit, with q and k in Hugging Face’s order', async () => {
    const { weights } = await openCheckpoint(path);
    const golden = await Golden.read('gguf-tiny', `expected.${type}.safetensors`);
    expect(golden.names()).toHaveLength(5);
    for (const name of golden.names()) {
      expect(weights.shapeOf(name)).toEqual(golden.shape(name));
      expect(await weights.read(name)).toEqual(golden.floats(name));
      const stored = await weights.readStored(name);
      if (stored instanceof Float32Array) continue;
      expect(stored.format).toBe(type);
      const [rows = 1, columns = 1] = golden.shape(name);
      expect(expandWeight(stored, rows, columns)).toEqual(golden.floats(name));
    }
    await weights.close();
  });

  test('has the tokenizer of the original model', async () => {
    const { tokenizer, weights } = await openCheckpoint(path);
    const opened = await tokenizer();
    const { beginId, endId, padId } = opened;
    await weights.close();
    const expected = JSON.parse(await readFile(fixture('tokenizer-expected.json'), 'utf8')) as {
      encode: { text: string; ids: number[]; decoded: string }[];
    };
    for (const { text, ids, decoded } of expected.encode) {
      // Its `pre` is "llama-bpe", which does not normalise to NFC, unlike the model's own tokenizer.
      if (text !== text.normalize('NFC')) continue;
      expect(opened.encode(text)).toEqual(ids);
      expect(opened.decode(ids)).toBe(decoded);
    }
    expect({ beginId, endId, padId }).toEqual({ beginId: 1, endId: 2, padId: 4 });
  });
});

describe.each(['reference', 'wasm', 'onnx'] as const)('on the %s backend', (backend) => {
  let kernels: Kernels;
  beforeAll(async () => {
    kernels = await openKernels({ prefer: backend });
  });
  afterAll(() => {
    kernels.dispose();
  });

  test('a tied embedding is kept once, as stored, and trains as in float32', async () => {
    const results = [];
    for (const base of ['stored', 'f32'] as const) {
      const model = await loadModel(fixture('gguf-tiny', 'llama-tiny.q8_0.gguf'), { kernels, base });
      if (base === 'stored') {
        expect(model.embedding).toMatchObject({ format: 'q8_0' });
        expect(model.head).toBe(model.embedding);
      }
      const name = 'model.layers.0.self_attn.q_proj';
      const { inFeatures, outFeatures } = linearsOf(model.spec).find((linear) => linear.name === name)!;
      const values = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(i) / 10);
      const segment = {
        a: tensor2d(values(2 * inFeatures), [2, inFeatures]),
        b: tensor2d(values(2 * outFeatures), [outFeatures, 2]),
        scale: 1,
        train: true,
      };
      const { loss, gradients } = languageLoss(
        model,
        { batch: 1, time: 4, ids: Int32Array.of(1, 40, 41, 42), images: [] },
        {
          head: {
            rows: Int32Array.of(2, 3),
            columns: [50, 60, 70],
            targets: Int32Array.of(0, 2),
            weights: Float32Array.of(0.5, 0.5),
          },
          segments: new Map([[name, [segment]]]),
        },
      );
      const [gradient] = gradients.get(name)!;
      results.push({ loss: await loss, a: [...gradient!.a.dataSync()] });
      dispose([gradient!.a, gradient!.b, segment.a, segment.b]);
      model.dispose();
    }
    expect(results[0]!.loss).toBeCloseTo(results[1]!.loss, 5);
    expect(worstDifference(results[0]!.a, results[1]!.a)).toBeLessThan(1e-6);
  });

  const logitsOf = async (type: string, base?: 'f32') => {
    const model = await loadModel(fixture('gguf-tiny', `llama-tiny.${type}.gguf`), {
      kernels,
      ...(base ? { base } : {}),
    });
    const golden = await Golden.read('llama-tiny', 'expected.safetensors');
    const tokens = batchOfGolden(golden);
    const rows = Int32Array.from({ length: 16 }, (_, i) => i);
    const logits = languageLogits(model, tokens, { head: { rows } });
    const values = Float32Array.from(logits.dataSync());
    logits.dispose();
    model.dispose();
    return { values, expected: golden.floats('logits').subarray(0, values.length) };
  };

  test.each([
    ['f16', 1e-2],
    ['q8_0', 0.3],
    ['q4_0', 4],
    ['q4_1', 4],
  ])(
    '%s gives the logits of the original up to its rounding, kept as stored or expanded',
    async (type, most) => {
      const stored = await logitsOf(type);
      const expanded = await logitsOf(type, 'f32');
      expect(worstDifference(stored.values, expanded.values)).toBeLessThan(1e-4);
      const error = worstDifference(expanded.values, expanded.expected);
      expect(error).toBeGreaterThan(0);
      expect(error).toBeLessThan(most);
    },
  );
});

describe('a GGUF file of mixed types', () => {
  const path = fixture('gguf-mixed', 'mixed.gguf');

  test('gives the numbers of the gguf package in q4_K, q5_K, q6_K, q5_0, q5_1, q8_0 and bf16', async () => {
    const { weights } = await openCheckpoint(path);
    const golden = await Golden.read('gguf-mixed', 'expected.safetensors');
    expect(golden.names()).toHaveLength(9);
    for (const name of golden.names()) {
      const values = await weights.read(name);
      const [, columns = 0] = golden.shape(name);
      const ends = Float32Array.of(...values.subarray(0, 20 * columns), ...values.subarray(-12 * columns));
      expect(worstDifference(ends, golden.floats(name))).toBe(0);
    }
    const stored = await weights.readStored('model.layers.0.self_attn.q_proj.weight');
    if (stored instanceof Float32Array || stored.format !== 'q4_K') throw new Error('q4_K is kept as it is');
    const read = await weights.read('model.layers.0.self_attn.q_proj.weight');
    expect(worstDifference(expandWeight(stored, 64, 256), read)).toBe(0);
    const kept = await Promise.all(golden.names().map((name) => weights.readStored(name)));
    const formats = new Set(kept.flatMap((of) => (of instanceof Float32Array ? [] : [of.format])));
    expect([...formats].sort()).toEqual(['q4_K', 'q5_1', 'q5_K', 'q6_K', 'q8_0']);
    // Kernels keep q5_0 as q8_0 with the same numbers.
    const five = await weights.readStored('model.layers.0.self_attn.o_proj.weight');
    if (five instanceof Float32Array || five.format !== 'q8_0') throw new Error('q5_0 is kept as q8_0');
    const wide = await weights.read('model.layers.0.self_attn.o_proj.weight');
    expect(worstDifference(expandWeight(five, 256, 64), wide)).toBe(0);
    expect(Math.max(...wide)).toBeGreaterThan(0);
    await weights.close();
  });

  test('reads text like llama.cpp’s SentencePiece algorithm, with bytes for unknown characters', async () => {
    const { tokenizer, weights } = await openCheckpoint(path);
    await weights.close();
    const opened = await tokenizer();
    const expected = JSON.parse(await readFile(fixture('gguf-mixed', 'expected.json'), 'utf8')) as {
      text: string;
      ids: number[];
    }[];
    for (const { text, ids } of expected) {
      expect(opened.encode(text)).toEqual(ids);
      expect(opened.decode(ids)).toBe(text);
    }
    expect(opened.encode('the<extra>cat')).toEqual([261, opened.idOf('<extra>'), 283]);
    expect(opened.addsBegin).toBe(true);
    expect(opened.chatTemplate).toContain('for m in messages');
  });

  test('runs with compact weights and gives what float32 gives', async () => {
    const kernels = await openKernels({ prefer: 'reference' });
    const [stored, plain] = await Promise.all(
      (['stored', 'f32'] as const).map(async (base) => {
        const model = await loadModel(path, { kernels, base });
        const tokens = { batch: 1, time: 4, ids: Int32Array.of(1, 261, 283, 276), images: [] };
        const logits = languageLogits(model, tokens, { head: { rows: Int32Array.of(0, 1, 2, 3) } });
        model.dispose();
        return logits.dataSync();
      }),
    );
    expect(worstDifference(stored ?? [], plain ?? [])).toBeLessThan(1e-4);
    kernels.dispose();
  });
});

test('a Qwen2 file has its biases, an untied head, and the rows of q and k unpermuted', async () => {
  const kernels = await openKernels({ prefer: 'wasm' });
  const model = await loadModel(fixture('qwen2-tiny.f16.gguf'), { kernels });
  expect(model.spec).toMatchObject({ architecture: 'qwen2', text: { attentionBias: true, tiedHead: false } });
  const golden = await Golden.read('qwen2-tiny', 'expected.safetensors');
  const tokens = batchOfGolden(golden);
  const logits = languageLogits(model, tokens, {
    head: { rows: Int32Array.from({ length: 16 }, (_, i) => i) },
  });
  expect(worstDifference(logits.dataSync(), golden.floats('logits').subarray(0, logits.size))).toBeLessThan(
    1e-2,
  );
  const { encode } = JSON.parse(await readFile(fixture('tokenizer-expected.json'), 'utf8')) as {
    encode: { text: string; ids: number[] }[];
  };
  // Its split expression takes single digits, that of the fixture's model up to three.
  for (const { text, ids } of encode)
    if (!/\p{N}{2}/u.test(text)) expect(model.tokenizer.encode(text)).toEqual(ids);
  model.dispose();
  kernels.dispose();
});

describe('a damaged GGUF file', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'gguf-'));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));
  const opened = async (bytes: Uint8Array) => {
    const path = join(directory, 'file.gguf');
    await writeFile(path, bytes);
    const { weights, tokenizer } = await openCheckpoint(path);
    await weights.close();
    return tokenizer();
  };
  const { metadata, tensors } = smallGguf;
  const flag: Value = { type: 'raw', kind: 7, bytes: Uint8Array.of(1) };
  const withTensor = (change: Partial<WrittenTensor>) =>
    writeGguf({ ...smallGguf, tensors: tensors.map((t, i) => (i === 1 ? { ...t, ...change } : t)) });
  const withMetadata = (key: string, value: Value) =>
    writeGguf({ ...smallGguf, metadata: [...metadata.filter(([other]) => other !== key), [key, value]] });
  const long = (bytes: number[], after = 0) => Uint8Array.of(...bytes, ...new Uint8Array(after));

  test('is refused, and the undamaged file is read', async () => {
    const tokenizer = await opened(writeGguf(smallGguf));
    expect(tokenizer.encode('ab')).toEqual([2]);
    expect(tokenizer.idOf('__proto__')).toBe(3);
  });

  const huge = [255, 255, 255, 255, 255, 255, 255, 127];
  test.each([
    ['no magic', Buffer.from('GGML and more'), 'does not begin with "GGUF"'],
    ['empty', Buffer.alloc(0), 'does not begin with "GGUF"'],
    ['cut in the header', writeGguf(smallGguf).subarray(0, 300), 'ends within the header, at '],
    [
      'cut in the data',
      writeGguf(smallGguf).subarray(0, -40),
      'tensor "blk.0.ffn_norm.weight" lies at bytes',
    ],
    ['version 1', writeGguf({ ...smallGguf, version: 1 }), 'GGUF version 1 is not supported'],
    ['big-endian', writeGguf({ ...smallGguf, version: 0x03000000 }), 'means a big-endian file'],
    [
      'too many tensors',
      writeGguf({ ...smallGguf, tensorCount: 2n ** 40n }),
      'the number of tensors is 1099511627776',
    ],
    ['too many keys', writeGguf({ ...smallGguf, metadataCount: 2n ** 63n }), 'the number of metadata is'],
    [
      'a key twice',
      writeGguf({ ...smallGguf, metadata: [...metadata, metadata[1]!] }),
      '"llama.context_length" occurs twice',
    ],
    [
      'a long text',
      withMetadata('x', { type: 'raw', kind: 8, bytes: long(huge) }),
      'the length of metadata "x" is',
    ],
    [
      'a long array',
      withMetadata('x', { type: 'raw', kind: 9, bytes: long([4, 0, 0, 0, ...huge]) }),
      'the length of metadata "x" is',
    ],
    [
      'an array of arrays',
      withMetadata('x', { type: 'raw', kind: 9, bytes: long([9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]) }),
      'an array of the unsupported type 9',
    ],
    [
      'an unknown kind',
      withMetadata('x', { type: 'raw', kind: 99, bytes: long([]) }),
      'metadata "x" has the unknown type 99',
    ],
    [
      'odd alignment',
      withMetadata('general.alignment', { type: 'u32', value: 24 }),
      '"general.alignment" is 24',
    ],
    ['a tensor twice', withTensor({ name: 'token_embd.weight' }), 'tensor "token_embd.weight" occurs twice'],
    ['a tensor beyond the end', withTensor({ offset: 2 ** 40 }), 'is the file truncated?'],
    [
      'tensors that overlap',
      withTensor({ offset: 32 }),
      'tensors "token_embd.weight" and "output_norm.weight" overlap',
    ],
    ['a tensor between alignments', withTensor({ offset: 36 }), 'offset 36, not a multiple of 32'],
    [
      'a type not read',
      withTensor({ type: 16 }),
      'is of type iq2_xxs, which is not read; read are f32, f16, q4_0',
    ],
    [
      'rows that are no blocks',
      withTensor({ type: 2 }),
      'rows of 8, which do not divide into q4_0 blocks of 32',
    ],
    ['five dimensions', withTensor({ shape: [1, 1, 1, 1, 8] }), 'has 5 dimensions'],
    ['no values', withTensor({ shape: [0] }), '[0] has no values'],
    [
      'another architecture',
      withMetadata('general.architecture', { type: 'text', value: 'mamba' }),
      'architecture "mamba" is not supported',
    ],
    [
      'its architecture not said',
      writeGguf({ ...smallGguf, metadata: metadata.slice(1) }),
      'architecture undefined is not supported',
    ],
    [
      'no sizes',
      writeGguf({ ...smallGguf, metadata: metadata.filter(([key]) => !key.includes('length')) }),
      '"llama.embedding_length" is null, "llama.feed_forward_length" is null',
    ],
    [
      'no tokens',
      withMetadata('tokenizer.ggml.tokens', { type: 'texts', value: [] }),
      'it has no "tokenizer.ggml.tokens"',
    ],
    [
      'a false merge',
      withMetadata('tokenizer.ggml.merges', { type: 'texts', value: ['a a'] }),
      'merge 0 "a a" does not make a token',
    ],
    [
      'an unknown split',
      withMetadata('tokenizer.ggml.pre', { type: 'text', value: 'constructor' }),
      '("tokenizer.ggml.pre" "constructor") is unknown; known are gpt-2',
    ],
    [
      'no word on how text is split',
      writeGguf({ ...smallGguf, metadata: metadata.filter(([key]) => key !== 'tokenizer.ggml.pre') }),
      'it does not say how its tokenizer splits text; convert the model again, or add "tokenizer.ggml.pre" (gpt-2',
    ],
    [
      'an end token after every text',
      writeGguf({
        ...smallGguf,
        metadata: [
          ...metadata.filter(([key]) => key !== 'tokenizer.ggml.eos_token_id'),
          ['tokenizer.ggml.eos_token_id', { type: 'u32', value: 1 }],
          ['tokenizer.ggml.add_eos_token', flag],
        ],
      }),
      'its post_processor puts 0 tokens before a text and 1 after it',
    ],
    [
      'a begin token that it does not name',
      writeGguf({ ...smallGguf, metadata: [...metadata, ['tokenizer.ggml.add_bos_token', flag]] }),
      '"tokenizer.ggml.add_bos_token" needs "tokenizer.ggml.bos_token_id"',
    ],
    [
      'spaces removed',
      writeGguf({ ...smallGguf, metadata: [...metadata, ['tokenizer.ggml.remove_extra_whitespaces', flag]] }),
      '"tokenizer.ggml.remove_extra_whitespaces" is not supported',
    ],
    [
      'another tokenizer',
      withMetadata('tokenizer.ggml.model', { type: 'text', value: 'bert' }),
      'a tokenizer of kind "bert" is not supported',
    ],
    [
      'too few kinds of tokens',
      withMetadata('tokenizer.ggml.token_type', { type: 'i32s', value: [1] }),
      '"tokenizer.ggml.token_type" must hold 5 integers',
    ],
  ])('with %s', async (_, bytes, message) => {
    const attempt = opened(bytes);
    await expect(attempt).rejects.toThrow(message);
    await expect(attempt).rejects.toThrow(join(directory, 'file.gguf'));
    await expect(attempt).rejects.toBeInstanceOf(ModelError);
  });

  test('that lacks tensors lists them by name and shape', async () => {
    const path = join(directory, 'lacking.gguf');
    await writeFile(path, writeGguf({ ...smallGguf, tensors: tensors.slice(0, -2) }));
    const kernels = await openKernels({ prefer: 'reference' });
    await expect(loadModel(path, { kernels })).rejects.toThrow(
      /lacking\.gguf are not those[\s\S]*input_layernorm\.weight" \[8\] is missing\n.*post_attention_layernorm/,
    );
    kernels.dispose();
  });
});
