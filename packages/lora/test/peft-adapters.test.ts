import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { LoraError } from '@contextlora/lora';
import { readPeftFolder, targetedModules, writeSafetensors } from '@contextlora/lora/files';
import { type FileTensor, float32Tensor } from '@contextlora/lora/safetensors';
import fc from 'fast-check';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lora-adapters-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

type Tensors = readonly (readonly [string, FileTensor])[];

const ones = (...shape: number[]) =>
  float32Tensor(shape, new Float32Array(shape.reduce((product, n) => product * n, 1)).fill(1));
const pair = (module: string, rank = 2): Tensors => [
  [`base_model.model.${module}.lora_A.weight`, ones(rank, 3)],
  [`base_model.model.${module}.lora_B.weight`, ones(4, rank)],
];
const [q0, q1, v0] = [
  'model.layers.0.self_attn.q_proj',
  'model.layers.1.self_attn.q_proj',
  'model.layers.0.self_attn.v_proj',
];

/** Every setting that PEFT 0.21.2 writes, at its default. */
const defaults = {
  alora_invocation_tokens: null,
  alpha_pattern: {},
  arrow_config: null,
  auto_mapping: null,
  base_model_name_or_path: 'some/model',
  bias: 'none',
  corda_config: null,
  ensure_weight_tying: false,
  eva_config: null,
  exclude_modules: null,
  fan_in_fan_out: false,
  inference_mode: true,
  init_lora_weights: true,
  kasa_config: null,
  layer_replication: null,
  layers_pattern: null,
  layers_to_transform: null,
  loftq_config: {},
  lora_alpha: 8,
  lora_bias: false,
  lora_dropout: 0.05,
  lora_ga_config: null,
  megatron_config: null,
  megatron_core: 'megatron.core',
  modules_to_save: null,
  monteclora_config: null,
  peft_type: 'LORA',
  peft_version: '0.21.2',
  qalora_group_size: 16,
  r: 2,
  rank_pattern: {},
  revision: null,
  target_modules: ['q_proj'],
  target_parameters: null,
  task_type: 'CAUSAL_LM',
  trainable_token_indices: null,
  use_bdlora: null,
  use_dora: false,
  use_qalora: false,
  use_rslora: false,
  velora_config: null,
};

let count = 0;
async function readWith(settings: Readonly<Record<string, unknown>>, tensors: Tensors = pair(q0)) {
  const folder = join(directory, String(count++));
  await mkdir(folder);
  await writeFile(join(folder, 'adapter_config.json'), JSON.stringify({ ...defaults, ...settings }));
  await writeSafetensors(join(folder, 'adapter_model.safetensors'), tensors);
  return readPeftFolder(folder);
}
const scaleWith = async (settings: Readonly<Record<string, unknown>>, tensors?: Tensors) =>
  (await readWith(settings, tensors)).modules[q0]?.scale;

describe('settings of an adapter', () => {
  test.each([
    ['all at their defaults', {}],
    [
      'another name, revision and version',
      { base_model_name_or_path: null, revision: 'v2', peft_version: '0.9' },
    ],
    ['no task, training mode', { task_type: null, inference_mode: false }],
    ['what a trainer noted', { auto_mapping: { base_model_class: 'X' }, merge_weights: false }],
    ['an unused option of a newer version', { some_new_option: null }],
    ['the data of an initialisation', { eva_config: { rho: 2 }, init_lora_weights: 'eva' }],
    [
      'the data of a converted one',
      { corda_config: { corda_method: 'kpm' }, lora_ga_config: { scale: 'unit' } },
    ],
    ['an initialisation of LoftQ that was not used', { loftq_config: { loftq_bits: 4 } }],
    [
      'empty lists',
      { target_parameters: [], layer_replication: [], layers_pattern: [], exclude_modules: [] },
    ],
    ...[false, null, 'gaussian', 'orthogonal', 'mica'].map(
      (init) => [`initialised with ${init}`, { init_lora_weights: init }] as const,
    ),
  ])('change nothing: %s', async (_, settings) => {
    expect(await scaleWith(settings)).toBe(4);
  });

  test.each([
    ['alora_invocation_tokens', [58, 61]],
    ['alora_invocation_tokens', []],
    ['arrow_config', { top_k: 2 }],
    ['bias', 'all'],
    ['bias', 'lora_only'],
    ['fan_in_fan_out', true],
    ...['pissa', 'pissa_niter_16', 'olora', 'OLoRA', 'corda', 'loftq', 'lora_ga', 'something new', 1].map(
      (init) => ['init_lora_weights', init] as const,
    ),
    ['kasa_config', {}],
    ['layer_replication', [[0, 1]]],
    ['lora_bias', true],
    ['lora_dropout', 'x'],
    ['megatron_config', { a: 1 }],
    ['monteclora_config', { num_samples: 2 }],
    ['target_parameters', ['q_proj.weight']],
    ['trainable_token_indices', [1, 2]],
    ['trainable_token_indices', { embed_tokens: [1] }],
    ['use_bdlora', { nblocks: 2 }],
    ['use_dora', true],
    ['use_qalora', true],
    ['velora_config', { num_groups: 4 }],
    ['some_new_option', true],
    ['some_new_option', 0],
    ['constructor', 'x'],
    ['peft_type', 'ADALORA'],
    ['r', 0],
    ['r', -2],
    ['r', 2.5],
    ['r', '2'],
    ['lora_alpha', 0],
    ['lora_alpha', -8],
    ['lora_alpha', '8'],
    ['lora_alpha', null],
    ['use_rslora', 1],
    ['ensure_weight_tying', 'yes'],
    ['modules_to_save', 'lm_head'],
    ['modules_to_save', [1]],
    ['target_modules', 7],
    ['target_modules', ['q_proj', 7]],
    ['layers_to_transform', ['0']],
    ['layers_pattern', 'l(a|b)'],
    ['rank_pattern', ['q_proj']],
    ['rank_pattern', { q_proj: 0 }],
    ['rank_pattern', { q_proj: 1.5 }],
    ['alpha_pattern', { q_proj: -1 }],
    ['alpha_pattern', { q_proj: null }],
    ['alpha_pattern', { '(?i)Q_PROJ': 1 }],
    ['alpha_pattern', { '(?P<a>q_proj)': 1 }],
    ['alpha_pattern', { 'q_proj\\Z': 1 }],
    ['alpha_pattern', { '(q)_proj\\1': 1 }],
    ['target_modules', 'q_(proj'],
    ['exclude_modules', '(?#q)k_proj'],
  ])('are refused by name and value: %s %j', async (key, value) => {
    const error = await readWith({ [key]: value }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(LoraError);
    expect(error).toMatchObject({ code: 'LORA_ADAPTER_UNUSABLE' });
    const { problems } = error as LoraError;
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(new RegExp(`^${key} `));
    const inner =
      key.startsWith('rank') || key.startsWith('alpha_p') ? Object.keys(value as object)[0] : value;
    if (inner !== '0') expect(problems[0]).toContain(JSON.stringify(inner).slice(1, -1));
  });

  test('know every setting that PEFT writes: none of them takes any value', async () => {
    const free = ['auto_mapping', 'inference_mode', 'qalora_group_size'];
    for (const key of Object.keys(defaults).filter((name) => !free.includes(name)))
      await expect(readWith({ [key]: [{ strange: true }] })).rejects.toMatchObject({
        code: 'LORA_ADAPTER_UNUSABLE',
      });
  });

  test('are all reported at once, each with a way out', async () => {
    const settings = { use_dora: true, init_lora_weights: 'pissa', new_kind: { a: 1 }, r: 0 };
    const error: unknown = await readWith(settings).catch((reason: unknown) => reason);
    expect((error as LoraError).problems).toEqual([
      expect.stringMatching(/^init_lora_weights is "pissa".*path_initial_model_for_weight_conversion/),
      'use_dora is true, which is not supported: DoRA is not supported; merge the adapter into its base with PEFT (merge_and_unload) and use that model',
      expect.stringMatching(/^new_kind is \{"a":1\}.*an unknown setting/),
      'r is 0; it must be a whole number above 0',
    ]);
  });
});

describe('rank and scale', () => {
  test.each([
    ['alpha / r', {}, 4],
    ['alpha / √r', { use_rslora: true }, 8 / Math.sqrt(2)],
    ['an optional group', { alpha_pattern: { '(self_attn\\.)?q_proj': 6 } }, 3],
    ['an anchored path', { alpha_pattern: { '^model.layers.0.self_attn.q_proj': 6 } }, 3],
    ['a repeated group', { alpha_pattern: { '(model|layers|\\.|0)+\\.self_attn\\.q_proj': 6 } }, 3],
    ['the first of two', { alpha_pattern: { 'layers\\.\\d\\..*': 2, q_proj: 6 } }, 1],
    ['the end of a path only', { alpha_pattern: { self_attn: 6, _proj: 6 } }, 4],
  ])('follow %s', async (_, settings, scale) => {
    expect(await scaleWith(settings)).toBe(scale);
  });

  test('come from PEFT’s default r where there is none, and must be those of the tensors', async () => {
    await expect(readWith({ r: undefined })).rejects.toThrow(
      /"model.*q_proj": its tensors have rank 2, but r and rank_pattern say 8/,
    );
    expect(await scaleWith({ r: undefined }, pair(q0, 8))).toBe(1);
    await expect(readWith({ rank_pattern: { q_proj: 3 } })).rejects.toThrow(/have rank 2.*say 3/);
    expect(await scaleWith({ r: 5, rank_pattern: { q_proj: 2 } })).toBe(4);
  });

  test('are refused when an expression takes too long to match', async () => {
    const long = `model.${'a'.repeat(60)}.q_proj`;
    await expect(readWith({ alpha_pattern: { '(\\w+)+!': 1 } }, pair(long))).rejects.toThrow(
      /\(\\\\w\+\)\+!.*too long to match/,
    );
  }, 20_000);
});

describe('tensors of an adapter', () => {
  const prefix = 'base_model.model.';
  const nan = float32Tensor([2, 3], new Float32Array(6).fill(1).with(4, NaN));
  const half = (word: number): FileTensor => ({
    dtype: 'F16',
    shape: [2, 3],
    bytes: new Uint8Array(new Uint16Array(6).fill(word).buffer),
  });
  test.each<[string, Record<string, unknown>, Tensors, RegExp]>([
    [
      'NaN',
      {},
      [[`${prefix}${q0}.lora_A.weight`, nan], pair(q0)[1]!],
      /q_proj\.lora_A\.weight": it holds NaN/,
    ],
    [
      'infinity in half precision',
      {},
      [[`${prefix}${q0}.lora_A.weight`, half(0x7c00)], pair(q0)[1]!],
      /holds Infinity/,
    ],
    [
      'NaN in a full weight',
      { modules_to_save: ['norm'] },
      [...pair(q0), [`${prefix}model.norm.weight`, nan]],
      /norm\.weight": it holds NaN/,
    ],
    [
      'another prefix',
      {},
      [...pair(q0), ['model.layers.1.q_proj.lora_A.weight', ones(2, 3)]],
      /does not begin with "base_model\.model\."/,
    ],
    [
      'an unlisted full weight',
      {},
      [...pair(q0), [`${prefix}model.norm.weight`, ones(3)]],
      /"base_model\.model\.model\.norm\.weight" is not used/,
    ],
    ['an unlisted name', {}, [...pair(q0), [`${prefix}${q0}.strange`, ones(3)]], /strange" is not used/],
    [
      'a listed module without tensors',
      { modules_to_save: ['norm'] },
      pair(q0),
      /modules_to_save names "norm", but no tensor/,
    ],
    [
      'a module that is not targeted',
      {},
      [...pair(q0), ...pair(v0)],
      /"model.*v_proj" has LoRA tensors, but target_modules/,
    ],
    ['an excluded module', { exclude_modules: ['layers.0.self_attn.q_proj'] }, pair(q0), /do not select it/],
    ['another layer', { layers_to_transform: [1] }, pair(q0), /do not select it/],
    [
      'a saved module with a pair',
      { modules_to_save: ['q_proj'] },
      [...pair(q0), [`${prefix}${q0}.weight`, ones(4, 3)]],
      /do not select it/,
    ],
    [
      'ranks that differ',
      {},
      [pair(q0)[0]!, [`${prefix}${q0}.lora_B.weight`, ones(4, 3)]],
      /lora_A \[2, 3\] and lora_B \[4, 3\] do not fit/,
    ],
    [
      'a vector',
      {},
      [[`${prefix}${q0}.lora_A.weight`, ones(2)], pair(q0)[1]!],
      /lora_A \[2\] and lora_B \[4, 2\] do not fit/,
    ],
    ['only A', {}, [pair(q0)[0]!], /lora_B missing do not fit/],
    [
      'trained tokens',
      {},
      [...pair(q0), [`${prefix}model.embed_tokens.token_adapter.trainable_tokens_delta`, ones(2, 3)]],
      /trainable_token_indices/,
    ],
    [
      'a base weight of a module without a pair',
      {},
      [...pair(q0), [`${prefix}lm_head.base_layer.weight`, ones(4, 3)]],
      /lm_head\.base_layer\.weight" is not used/,
    ],
    ['nothing', {}, [], /there is no tensor in it/],
    [
      'full weights alone',
      { modules_to_save: ['lm_head'] },
      [[`${prefix}lm_head.weight`, ones(4, 3)]],
      /there is no LoRA tensor/,
    ],
  ])('with %s are refused', async (_, settings, tensors, message) => {
    const error: unknown = await readWith(settings, tensors).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'LORA_ADAPTER_UNUSABLE' });
    expect((error as LoraError).message).toMatch(message);
  });

  test('of an embedding keep the shapes of PEFT, and the base’s own matrix beside them', async () => {
    const embedding = 'model.embed_tokens';
    const adapter = await readWith({ target_modules: ['embed_tokens', 'q_proj'] }, [
      ...pair(q0),
      [`${prefix}${embedding}.lora_embedding_A`, ones(2, 9)],
      [`${prefix}${embedding}.lora_embedding_B`, ones(3, 2)],
      [`${prefix}${embedding}.base_layer.weight`, ones(9, 3)],
    ]);
    expect(adapter.embeddings[embedding]).toMatchObject({ rank: 2, inFeatures: 9, outFeatures: 3, scale: 4 });
    expect(Object.keys(adapter.replaced)).toEqual([`${embedding}.base_layer.weight`]);
  });

  test('in a pickle, or none at all, are named as missing', async () => {
    const folder = join(directory, 'pickle');
    await mkdir(folder);
    await writeFile(join(folder, 'adapter_config.json'), JSON.stringify(defaults));
    await expect(readPeftFolder(folder)).rejects.toMatchObject({ code: 'LORA_FILE_MISSING' });
    await writeFile(join(folder, 'adapter_model.bin'), '');
    await expect(readPeftFolder(folder)).rejects.toThrow(/adapter_model\.bin, a pickle/);
  });
});

describe('targeted modules', () => {
  const none = { excluded: [], layers: undefined, layersPattern: [], saved: [] };
  const names = [q0, q1, v0, 'model.norm', 'lm_head', 'model.embed_tokens', 'model.vision.layers.0.q_proj'];
  test.each([
    ['ends of names', { modules: ['q_proj'] }, [q0, q1, 'model.vision.layers.0.q_proj']],
    ['no parts of a word', { modules: ['proj', 'q'] }, []],
    ['whole names whatever the layer', { modules: [v0, 'q_proj'], layers: [1] }, [q1, v0]],
    [
      'layers of a pattern',
      { modules: ['q_proj'], layers: [0], layersPattern: ['layers'] },
      [q0, 'model.vision.layers.0.q_proj'],
    ],
    ['layers of another pattern', { modules: ['q_proj'], layers: [0], layersPattern: ['blocks'] }, []],
    [
      'one expression for whole names',
      { modules: 'model\\.layers\\.\\d\\.self_attn\\.(q|v)_proj' },
      [q0, q1, v0],
    ],
    ['one that matches a part', { modules: 'q_proj' }, []],
    [
      'all linears but the output',
      { modules: 'all-linear', saved: ['norm'] },
      [q0, q1, v0, 'model.vision.layers.0.q_proj'],
    ],
    ['none that is excluded', { modules: ['q_proj'], excluded: '.*vision.*' }, [q0, q1]],
    ['none that is saved', { modules: ['q_proj'], saved: ['model.vision'] }, [q0, q1]],
  ])('are %s', (_, targets, expected) => {
    expect([...targetedModules({ ...none, ...targets }, names)].sort()).toEqual([...expected].sort());
  });

  test('by ends of names are those whose path ends in one after a dot', () => {
    const part = fc.constantFrom('a', 'b', 'ab', '0', '1');
    const path = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('.'));
    fc.assert(
      fc.property(fc.array(path), fc.array(path), (paths, ends) => {
        const found = targetedModules({ ...none, modules: ends }, paths);
        for (const name of paths)
          expect(found.has(name)).toBe(ends.some((end) => name === end || name.endsWith(`.${end}`)));
      }),
    );
  });
});
