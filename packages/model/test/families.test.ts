import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openKernels, type Kernels } from '@contextlora/kernels';
import { decodeSafetensors, encodeSafetensors } from '@contextlora/lora/safetensors';
import {
  languageLogits,
  linearsOf,
  loadLayers,
  loadModel,
  ModelError,
  openCheckpoint,
  openFileBytes,
  parseModelSpec,
  rotaryFrequencies,
  type OpenBytes,
} from '@contextlora/model';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { fixture } from './golden.js';

const read = async (name: string) =>
  JSON.parse(await readFile(fixture(name, 'config.json'), 'utf8')) as Record<string, unknown>;
const withKeys = async (name: string, change: Record<string, unknown>) =>
  parseModelSpec({ ...(await read(name)), ...change }, 'config.json');

let kernels: Kernels;
let directory: string;
beforeAll(async () => {
  kernels = await openKernels({ prefer: 'wasm' });
  directory = await mkdtemp(join(tmpdir(), 'families-'));
});
afterAll(async () => {
  kernels.dispose();
  await rm(directory, { recursive: true, force: true });
});

describe('a config', () => {
  test('of Llama 3 gives the stretched frequencies, with old and with new keys', async () => {
    const scaling = {
      type: 'llama3',
      factor: 8,
      lowFrequencyFactor: 1,
      highFrequencyFactor: 4,
      originalPositions: 64,
    };
    expect((await withKeys('llama3-rope', {})).text.ropeScaling).toEqual(scaling);
    const { rope_scaling: rope, ...rest } = await read('llama3-rope');
    const newer = { ...rest, rope_parameters: { ...(rope as object), rope_theta: 10_000 } };
    expect(parseModelSpec(newer, 'config.json').text.ropeScaling).toEqual(scaling);
  });

  test('with a sliding window allows no more positions than the window, if it applies', async () => {
    const positions = async (name: string, change: Record<string, unknown>) =>
      (await withKeys(name, change)).text.maximumPositions;
    expect(await positions('mistral-tiny', {})).toBe(32);
    expect(await positions('mistral-tiny', { sliding_window: null })).toBe(256);
    expect(await positions('qwen2-tiny', { sliding_window: 64 })).toBe(256);
    expect(await positions('qwen2-tiny', { sliding_window: 64, use_sliding_window: true })).toBe(256);
    // The fixture's "max_window_layers" is 28, and it has two layers.
    const older = { layer_types: undefined, sliding_window: 64, use_sliding_window: true };
    expect(await positions('qwen2-tiny', older)).toBe(256);
    expect(await positions('qwen2-tiny', { ...older, max_window_layers: 2 })).toBe(256);
    expect(await positions('qwen2-tiny', { ...older, max_window_layers: 1 })).toBe(64);
    expect(
      await positions('qwen2-tiny', {
        sliding_window: 64,
        layer_types: ['full_attention', 'sliding_attention'],
      }),
    ).toBe(64);
  });

  test('with scaling that depends on the length has the positions up to the change', async () => {
    expect((await withKeys('longrope', {})).text.maximumPositions).toBe(32);
    expect((await withKeys('dynamic-rope', {})).text.maximumPositions).toBe(256);
  });

  test('of a published SmolVLM, which omits numbers, gets the defaults of transformers', () => {
    const { vision, text } = parseModelSpec(
      {
        model_type: 'smolvlm',
        image_token_id: 49190,
        scale_factor: 4,
        text_config: {
          model_type: 'llama',
          hidden_size: 576,
          intermediate_size: 1536,
          num_attention_heads: 9,
          num_hidden_layers: 30,
          num_key_value_heads: 3,
          rope_theta: 100_000,
          vocab_size: 49_280,
          max_position_embeddings: 8192,
        },
        vision_config: { hidden_size: 768, image_size: 512, num_attention_heads: 12, patch_size: 16 },
      },
      'config.json',
    );
    expect(vision).toMatchObject({ mlpSize: 3072, layerCount: 12, layerEpsilon: 1e-6, tokenCount: 64 });
    expect(text).toMatchObject({ headDim: 64, ropeTheta: 100_000, rmsEpsilon: 1e-6 });
  });

  test('of the published LLaVA 1.5 gets the sizes of Llama 2 and CLIP', () => {
    const spec = parseModelSpec(
      {
        model_type: 'llava',
        image_token_index: 32_000,
        text_config: { model_type: 'llama', vocab_size: 32_064, max_position_embeddings: 4096 },
        vision_config: {
          hidden_size: 1024,
          image_size: 336,
          intermediate_size: 4096,
          model_type: 'clip_vision_model',
          num_attention_heads: 16,
          num_hidden_layers: 24,
          patch_size: 14,
        },
      },
      'config.json',
    );
    expect(spec.text).toMatchObject({ hiddenSize: 4096, mlpSize: 11_008, layerCount: 32, kvHeads: 32 });
    expect(spec.vision).toMatchObject({ tokenCount: 576, layerCount: 23, gelu: 'quick', layerEpsilon: 1e-5 });
    expect(linearsOf(spec)[0]).toEqual({
      name: 'model.multi_modal_projector.linear_2',
      inFeatures: 4096,
      outFeatures: 4096,
    });
  });

  test.each([
    [
      'an unknown scaling',
      'llama-tiny',
      { rope_scaling: { type: 'su', factor: 2 }, rope_parameters: null },
      'rope scaling "su" is not supported; default, linear, llama3, yarn, dynamic and longrope are',
    ],
    [
      'too few factors',
      'longrope',
      { rope_scaling: { type: 'longrope', short_factor: [1, 2, 3, 4, 5] } },
      '"short_factor" must hold 6 positive numbers, and holds [1,2,3,4,5]',
    ],
    [
      'factors that are no numbers',
      'longrope',
      { rope_scaling: { type: 'longrope', short_factor: '123456' } },
      '"short_factor" must hold 6 positive numbers, and is "123456"',
    ],
    [
      'dynamic scaling without its factor',
      'dynamic-rope',
      { rope_scaling: { type: 'dynamic' }, rope_parameters: null },
      '"factor" is undefined',
    ],
    [
      'scaling without its factor',
      'llama-tiny',
      { rope_parameters: { rope_type: 'linear' } },
      'rope parameters: needs positive numbers of a plausible size, but "factor" is undefined',
    ],
    [
      'part of each head turned',
      'llama-tiny',
      { rope_parameters: { partial_rotary_factor: 0.5 } },
      'only whole heads',
    ],
    [
      'another activation',
      'llama-tiny',
      { hidden_act: 'gelu' },
      'activation "gelu" is not supported; only silu is',
    ],
    [
      'heads that do not share',
      'llama-tiny',
      { num_key_value_heads: 3 },
      '4 attention heads do not divide into 3 key',
    ],
    ['an odd head', 'llama-tiny', { head_dim: 15 }, '"head_dim" is 15, and must be even'],
    ['a million layers', 'llama-tiny', { num_hidden_layers: 1e6 }, '"num_hidden_layers" is 1000000'],
    [
      'no number for a number',
      'llama-tiny',
      { rms_norm_eps: '1e-5', vocab_size: null },
      '"vocab_size" is undefined, "rms_norm_eps" is "1e-5"',
    ],
    [
      'a name of Object',
      'llama-tiny',
      { model_type: 'constructor' },
      'architecture "constructor" is not supported',
    ],
    [
      'several feature layers',
      'llava-tiny',
      { vision_feature_layer: [-2, -5] },
      '"vision_feature_layer" is [-2,-5]',
    ],
    [
      'another tower',
      'llava-tiny',
      { vision_config: { model_type: 'siglip_vision_model' } },
      'a "siglip_vision_model" tower is not supported',
    ],
    [
      'patches that do not fit',
      'smolvlm-tiny',
      { scale_factor: 3 },
      '32 pixels do not divide into patches of 8 and blocks of 3',
    ],
    ['no vision', 'smolvlm-tiny', { vision_config: [] }, 'needs "text_config" and "vision_config"'],
    [
      'another text model',
      'smolvlm-tiny',
      { text_config: { model_type: 'gemma' } },
      'text_config: architecture "gemma" is not supported',
    ],
  ] as const)('with %s is refused in one message', async (_, name, change, message) => {
    const attempt = withKeys(name, change);
    await expect(attempt).rejects.toThrow(message);
    await expect(attempt).rejects.toBeInstanceOf(ModelError);
  });
});

test('the divisors of a GGUF file stretch each frequency individually', () => {
  const plain = rotaryFrequencies(10_000, 8, undefined).frequencies;
  const { frequencies } = rotaryFrequencies(10_000, 8, { type: 'divisors', divisors: [1, 2, 4, 8] });
  expect([...frequencies]).toEqual([...plain].map((frequency, i) => Math.fround(frequency / 2 ** i)));
});

describe('a LLaVA checkpoint', () => {
  /** The tensor names of three kinds of files, derived from the legacy names of the fixture. */
  const names: Readonly<Record<string, (name: string) => string>> = {
    'run-time': (name) =>
      name
        .replace(/^language_model\.model\./, 'model.language_model.')
        .replace(/^language_model\.lm_head\./, 'lm_head.')
        .replace(/^(vision_tower|multi_modal_projector)\./, 'model.$1.'),
    published: (name) => name.replace(/^vision_tower\./, 'vision_tower.vision_model.'),
  };
  test.each(Object.keys(names))('with %s names is the same model', async (kind) => {
    const path = join(directory, kind);
    await cp(fixture('llava-tiny'), path, { recursive: true });
    const { tensors } = decodeSafetensors(await readFile(fixture('llava-tiny', 'model.safetensors')));
    const renamed = [...tensors].map(([name, tensor]) => [names[kind]!(name), tensor] as const);
    expect(renamed.map(([name]) => name)).not.toEqual([...tensors.keys()]);
    await writeFile(join(path, 'model.safetensors'), encodeSafetensors(renamed));
    const [model, other] = [
      await loadModel(fixture('llava-tiny'), { kernels }),
      await loadModel(path, { kernels }),
    ];
    expect(other.parameterCount).toBe(model.parameterCount);
    expect(other.vision?.positions).toEqual(model.vision?.positions);
    const tokens = { batch: 1, time: 3, ids: Int32Array.of(5, 6, 7), images: [] };
    const [a, b] = [model, other].map((loaded) => {
      const logits = languageLogits(loaded, tokens, { head: { rows: Int32Array.of(2) } });
      return [...logits.dataSync()];
    });
    expect(b).toEqual(a);
    model.dispose();
    other.dispose();
  });
});

describe('loading some layers', () => {
  /** Counts the bytes that are read after the header. */
  const counting = () => {
    const ranges: [number, number][] = [];
    const openBytes: OpenBytes = async (path) => {
      const source = await openFileBytes(path);
      return {
        ...source,
        read: (position, target) => {
          ranges.push([position, target.length]);
          return source.read(position, target);
        },
      };
    };
    return { openBytes, ranges };
  };

  /** Matrices and norms of the tiny Llama, whose head is tied. */
  const [hidden, inner, vocabulary] = [64, 128, 384];
  const layer = {
    matrices: 2 * hidden * hidden + 2 * hidden * (hidden / 2) + 3 * hidden * inner,
    norms: 2 * hidden,
  };
  const table = { matrices: vocabulary * hidden, norms: 0 };
  const head = { matrices: vocabulary * hidden, norms: hidden };

  describe.each([
    ['llama-tiny', 4, 2],
    ['gguf-tiny/llama-tiny.f16.gguf', 2, 1],
    // The head is stored, and equal to the embedding that the config ties it to.
    ['equal-head', 4, 2],
  ] as const)('of %s', (name, bytes, headers) => {
    const pathOf = async () => {
      if (name !== 'equal-head') return fixture(name);
      const path = join(directory, name);
      await cp(fixture('llama-tiny'), path, { recursive: true });
      const { tensors } = decodeSafetensors(await readFile(join(path, 'model.safetensors')));
      const both = [...tensors, ['lm_head.weight', tensors.get('model.embed_tokens.weight')!] as const];
      await writeFile(
        join(path, 'model.safetensors'),
        encodeSafetensors(both.map(([key, tensor]) => [key, tensor])),
      );
      return path;
    };

    test.each<[number, number, (typeof layer)[]]>([
      [0, 1, [table]],
      [1, 2, [layer]],
      [2, 3, [layer]],
      [0, 3, [table, layer, layer]],
      // A device that has no embedding reads it for the head.
      [3, 4, [head]],
      [2, 4, [layer, head]],
    ])('layers %i to %i read no byte of another tensor', async (start, end, parts) => {
      const { openBytes, ranges } = counting();
      const loaded = await loadLayers(await pathOf(), { kernels, start, end, openBytes });
      const expected = parts.reduce((sum, { matrices, norms }) => sum + bytes * matrices + 4 * norms, 0);
      const read = ranges.slice(headers).reduce((sum, [, length]) => sum + length, 0);
      // Whether a stored head is tied is found by reading both.
      const compared = name === 'equal-head' && end === 4 ? 2 * bytes * vocabulary * hidden : 0;
      expect(read).toBe(expected + compared);
      const whole = await loadModel(fixture('llama-tiny'), { kernels });
      expect(loaded.layers.map(({ inputNorm }) => inputNorm)).toEqual(
        whole.layers.slice(Math.max(0, start - 1), end - 1).map(({ inputNorm }) => inputNorm),
      );
      expect([loaded.embedding, loaded.finalNorm].map((part) => part !== undefined)).toEqual([
        start === 0,
        end === 4,
      ]);
      whole.dispose();
      loaded.dispose();
    });
  });

  test('refuses layers that do not exist', async () => {
    await expect(loadLayers(fixture('llama-tiny'), { kernels, start: 1, end: 5 })).rejects.toThrow(
      'there are no layers 1 to 5; there are 0 to 4',
    );
  });
});

test('weights in f16 stay f16 if the base is kept as stored', async () => {
  const { weights } = await openCheckpoint(fixture('f16'));
  const name = 'model.layers.0.mlp.up_proj.weight';
  expect(await weights.readStored(name)).toMatchObject({ format: 'f16' });
  expect(weights.shapeOf(name)).toEqual([64, 48]);
  await weights.close();
});

test('a context longer than the computed positions is refused before anything runs', async () => {
  const model = await loadModel(fixture('mistral-tiny'), {
    kernels,
    tokenizerDirectory: fixture('llama-tiny'),
  });
  const positions = model.rotary.time;
  const logits = (time: number) =>
    languageLogits(
      model,
      { batch: 1, time, ids: new Int32Array(time).fill(5), images: [undefined] },
      { head: { rows: Int32Array.of(time - 1) } },
    );
  expect(positions).toBe(model.spec.text.maximumPositions);
  logits(positions).dispose();
  expect(() => logits(positions + 1)).toThrow(
    `model/languagePass: ${positions + 1} tokens exceed the ${positions} positions of the model's sliding window; shorten the prompt`,
  );
  // A table shorter than the model's positions is the limit.
  const short = { ...model, rotary: { ...model.rotary, time: 8 } };
  expect(() =>
    languageLogits(
      short,
      { batch: 1, time: 9, ids: new Int32Array(9).fill(5), images: [undefined] },
      { head: { rows: Int32Array.of(8) } },
    ),
  ).toThrow('exceed the 8 positions');
  model.dispose();
});
