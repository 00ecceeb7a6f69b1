import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openKernels, type Kernels } from '@contextlora/kernels';
import {
  decodeSafetensors,
  encodeSafetensors,
  type FileTensor,
  float32Tensor,
} from '@contextlora/lora/safetensors';
import { languageLogits, loadModel, ModelError, parseModelSpec } from '@contextlora/model';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { fixture, Golden, worstDifference } from './golden.js';

/** Variants of the fixtures' configs, and what transformers makes of them (fixtures/make-config-variants.py). */
const { logits, derived, activations } = JSON.parse(
  readFileSync(fixture('config-variants.json'), 'utf8'),
) as {
  readonly logits: readonly {
    readonly name: string;
    readonly base: string;
    readonly set: Readonly<Record<string, unknown>>;
    readonly remove: readonly string[];
    readonly tensors?: string;
  }[];
  readonly derived: readonly {
    readonly config: Readonly<Record<string, unknown>>;
    readonly expected: {
      readonly headDim: number;
      readonly kvHeads: number;
      readonly window: number | null;
      readonly tied: boolean;
      readonly positions: number;
      readonly epsilon: number;
      readonly theta: number;
    };
  }[];
  readonly activations: Readonly<Record<string, string | null>>;
};

type Config = Readonly<Record<string, unknown>>;
const configOf = async (base: string) =>
  JSON.parse(await readFile(fixture(base, 'config.json'), 'utf8')) as Config;

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'config-variants-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** Writes a fixture with another config and other tensors, and returns its directory. */
async function changed(
  base: string,
  {
    set = {},
    remove = [],
    tensors = (own) => own,
  }: {
    set?: Config;
    remove?: readonly string[];
    tensors?: (own: Map<string, FileTensor>) => Iterable<readonly [string, FileTensor]>;
  },
): Promise<string> {
  const config = Object.entries({ ...(await configOf(base)), ...set }).filter(
    ([key]) => !remove.includes(key),
  );
  await writeFile(join(directory, 'config.json'), JSON.stringify(Object.fromEntries(config)));
  const own = decodeSafetensors(await readFile(fixture(base, 'model.safetensors'))).tensors;
  await writeFile(join(directory, 'model.safetensors'), encodeSafetensors(tensors(new Map(own))));
  return directory;
}

/** What is done to the tensors, by the words of the fixture. */
const changes: Readonly<Record<string, (own: Map<string, FileTensor>) => Map<string, FileTensor>>> = {
  'equal head': (own) => own.set('lm_head.weight', own.get('model.embed_tokens.weight')!),
  'no embedding': (own) => {
    own.delete('model.embed_tokens.weight');
    return own;
  },
  'no prefix': (own) => new Map([...own].map(([name, tensor]) => [name.replace(/^model\./, ''), tensor])),
  buffers: (own) =>
    own.set(
      'model.layers.0.self_attn.rotary_emb.inv_freq',
      float32Tensor([12], new Float32Array(12).fill(1)),
    ),
};

const tokenizerDirectory = fixture('llama-tiny');

describe.each(['reference', 'wasm', 'onnx'] as const)('on the %s backend', (backend) => {
  let kernels: Kernels;
  let golden: Golden;
  beforeAll(async () => {
    kernels = await openKernels({ prefer: backend });
    golden = await Golden.read('config-variants.safetensors');
  });
  afterAll(() => {
    kernels.dispose();
  });

  test.each(logits.map((variant) => [variant.name, variant] as const))(
    'a checkpoint with %s gives the logits of transformers',
    async (name, { base, set, remove, tensors }) => {
      const path = await changed(base, {
        set,
        remove,
        ...(tensors === undefined ? {} : { tensors: changes[tensors]! }),
      });
      const model = await loadModel(path, { kernels, tokenizerDirectory });
      const ids = Int32Array.from(golden.integers('input_ids'));
      const result = languageLogits(
        model,
        { batch: 1, time: ids.length, ids, images: [] },
        { head: { rows: Int32Array.from([4, 3, 2, 1], (last) => ids.length - last) } },
      );
      expect(worstDifference(result.dataSync(), golden.floats(name))).toBeLessThan(1e-4);
      result.dispose();
      model.dispose();
    },
  );
});

describe('a config', () => {
  test.each(derived.map(({ config, expected }) => [JSON.stringify(config), config, expected] as const))(
    '%s has the numbers that transformers derives',
    (_, config, { headDim, kvHeads, window, tied, positions, epsilon, theta }) => {
      const { text } = parseModelSpec(config, 'config.json');
      expect(text).toMatchObject({ headDim, kvHeads, tiedHead: tied, rmsEpsilon: epsilon, ropeTheta: theta });
      expect(text.slidingWindow ?? null).toBe(window);
      expect(text.maximumPositions).toBe(Math.min(positions, window ?? positions));
    },
  );

  test.each(Object.entries(activations))('with the activation %s computes %s', async (name, form) => {
    const text = await configOf('llama-tiny');
    const parse = () => parseModelSpec({ ...text, hidden_act: name }, 'config.json');
    if (form === 'silu') expect(parse).not.toThrow();
    else expect(parse).toThrow(`activation "${name}" is not supported; only silu is`);
    const vlm = await configOf('smolvlm-tiny');
    const tower = () =>
      parseModelSpec(
        { ...vlm, vision_config: { ...(vlm['vision_config'] as object), hidden_act: name } },
        'config.json',
      );
    if (form === null || form === 'silu')
      expect(tower).toThrow(`vision_config: activation "${name}" is not supported`);
    else expect(tower().vision?.gelu).toBe(form);
  });
});

describe('a setting that asks for what is not computed is refused by name', () => {
  const withKeys = async (base: string, set: Config) =>
    parseModelSpec({ ...(await configOf(base)), ...set }, 'config.json');
  const scaling = (rope: object) => ({ rope_parameters: rope });

  test.each<[base: string, set: Config, message: string]>([
    ['llama-tiny', { residual_multiplier: 0.22 }, 'not supported: "residual_multiplier": 0.22'],
    [
      'llama-tiny',
      { embedding_multiplier: 12, logits_scaling: 8 },
      '"embedding_multiplier": 12, "logits_scaling": 8',
    ],
    ['llama-tiny', { attention_multiplier: 0.0625 }, '"attention_multiplier": 0.0625'],
    ['llama-tiny', { final_logit_softcapping: 30 }, '"final_logit_softcapping": 30'],
    ['qwen2-tiny', { attn_logit_softcapping: 50 }, '"attn_logit_softcapping": 50'],
    ['qwen3-tiny', { query_pre_attn_scalar: 256 }, '"query_pre_attn_scalar": 256'],
    ['qwen2-tiny', { use_mrope: true }, '"use_mrope": true'],
    ['llama-tiny', { rope_interleaved: true }, '"rope_interleaved": true'],
    ['llama-tiny', { partial_rotary_factor: 0.5 }, 'only whole heads'],
    ['llama-tiny', { rotary_pct: 0.25 }, '"rotary_pct": 0.25'],
    ['llama-tiny', { num_local_experts: 8, num_experts_per_tok: 2 }, '"num_local_experts": 8'],
    ['llama-tiny', { per_layer_config: { 0: { head_dim: 8 } } }, '"per_layer_config": {"0":{"head_dim":8}}'],
    ['llama-tiny', { is_encoder_decoder: true }, '"is_encoder_decoder": true'],
    [
      'llama-tiny',
      { quantization_config: { quant_method: 'bitsandbytes', load_in_4bit: true } },
      '"quantization_config": {"quant_method":"bitsandbytes"',
    ],
    ['llama-tiny', { norm_type: 'layernorm' }, '"norm_type": "layernorm"'],
    [
      'llama-tiny',
      { a_setting_of_tomorrow: 3 },
      '"a_setting_of_tomorrow": 3; a setting that does not change what the model computes can be removed',
    ],
    ['llama-tiny', { hidden_activation: 'gelu' }, 'activation "gelu" is not supported; only silu is'],
    ['llama-tiny', { attention_bias: 1 }, '"attention_bias" is 1, and must be true or false'],
    [
      'llama-tiny',
      { tie_word_embeddings: 'yes' },
      '"tie_word_embeddings" is "yes", and must be true or false',
    ],
    ['mistral-tiny', { attention_bias: true }, '"attention_bias" is true, and this architecture has none'],
    ['qwen3-tiny', { mlp_bias: true }, '"mlp_bias" is true, and this architecture has none'],
    [
      'mistral-tiny',
      { sliding_window: 0 },
      'layers slide, and "sliding_window" is 0; it must be a positive integer',
    ],
    [
      'qwen2-tiny',
      { layer_types: ['full_attention'] },
      '"layer_types" must name a type for each of the 2 layers',
    ],
    [
      'qwen3-tiny',
      { layer_types: ['full_attention', 'chunked_attention'] },
      '"layer_types" has chunked_attention, which is not supported',
    ],
    [
      'qwen3-tiny',
      { layer_types: ['full_attention', 'sliding_attention'], sliding_window: null },
      'layers slide, and "sliding_window" is null',
    ],
    ['llama-tiny', { rope_scaling: 2 }, '"rope_scaling" is 2, and must be an object'],
    [
      'llama-tiny',
      { rope_scaling: { rope_type: 'proportional' } },
      'rope scaling "proportional" is not supported',
    ],
    [
      'llama-tiny',
      scaling({ rope_type: 'default', factor: 2 }),
      'rope parameters: not supported: "factor": 2',
    ],
    ['llama-tiny', scaling({ rope_type: 'linear', factor: 2, mscale: 1.5 }), '"mscale": 1.5'],
    ['llama-tiny', scaling({ rope_type: 'default', mrope_section: [2, 3, 3] }), '"mrope_section": [2,3,3]'],
    [
      'llama-tiny',
      scaling({ full_attention: { rope_type: 'default' } }),
      '"full_attention": {"rope_type":"default"}',
    ],
    ['smolvlm-tiny', { use_resampler: true }, '"use_resampler": true'],
    ['llava-tiny', { quantization_config: { bits: 4 } }, '"quantization_config": {"bits":4}'],
    ['llava-tiny', { multimodal_projector_bias: 'no' }, '"multimodal_projector_bias" is "no"'],
  ])('in %s: %j', async (base, set, message) => {
    const attempt = withKeys(base, set);
    await expect(attempt).rejects.toThrow(message);
    await expect(attempt).rejects.toBeInstanceOf(ModelError);
  });

  test.each<[part: 'text_config' | 'vision_config', set: Config, message: string]>([
    ['text_config', { residual_multiplier: 0.22 }, 'text_config: not supported: "residual_multiplier": 0.22'],
    ['vision_config', { use_rope: true }, 'vision_config: not supported: "use_rope": true'],
    ['vision_config', { num_channels: 1 }, 'only images of 3 channels are supported'],
  ])('in %s: %j', async (part, set, message) => {
    const whole = await configOf('smolvlm-tiny');
    await expect(
      withKeys('smolvlm-tiny', { [part]: { ...(whole[part] as object), ...set } }),
    ).rejects.toThrow(message);
  });

  test('and several are reported at once', async () => {
    await expect(
      withKeys('llama-tiny', { residual_multiplier: 0.22, hidden_act: 'relu', head_dim: 7 }),
    ).rejects.toThrow(/activation "relu".*"head_dim" is 7.*"residual_multiplier": 0.22/);
  });
});

test('the config of the published SmolVLM, with its older keys, is read', () => {
  const { text, vision } = parseModelSpec(
    {
      architectures: ['Idefics3ForConditionalGeneration'],
      image_token_id: 49_190,
      model_type: 'idefics3',
      scale_factor: 4,
      text_config: {
        _flash_attn_2_enabled: true,
        _name_or_path: 'None',
        architectures: ['VLlama3ForCausalLM'],
        head_dim: 64,
        hidden_size: 576,
        intermediate_size: 1536,
        is_llama_config: true,
        max_position_embeddings: 8192,
        model_type: 'llama',
        neftune_noise_alpha: 0.0,
        num_attention_heads: 9,
        num_hidden_layers: 30,
        num_key_value_heads: 3,
        pad_token_id: 2,
        perceiver_config: { _name_or_path: '', attention_dropout: 0.0, model_type: 'vllama3' },
        pixel_shuffle_factor: 4,
        qk_layer_norms: false,
        rms_norm_eps: 1e-5,
        rope_interleaved: false,
        rope_theta: 100_000,
        torch_dtype: 'bfloat16',
        'transformers.js_config': { kv_cache_dtype: { fp16: 'float16' } },
        use_resampler: false,
        vocab_size: 49_280,
      },
      tie_word_embeddings: false,
      torch_dtype: 'bfloat16',
      transformers_version: '4.46.0',
      'transformers.js_config': { kv_cache_dtype: { fp16: 'float16' } },
      use_cache: true,
      vision_config: {
        hidden_size: 768,
        image_size: 512,
        max_image_size: { longest_edge: 512 },
        model_type: 'idefics3',
        num_attention_heads: 12,
        patch_size: 16,
        size: { longest_edge: 2048 },
        tie_word_embeddings: false,
        torch_dtype: 'bfloat16',
        use_base_siglip: false,
      },
      vocab_size: 49_280,
    },
    'config.json',
  );
  expect(text).toMatchObject({ layerCount: 30, tiedHead: false });
  expect(vision).toMatchObject({ tokenCount: 64 });
});

describe('which setting ties the head of a vision-language model', () => {
  const tied = async (base: string, whole: boolean | undefined, own: boolean | undefined) => {
    const config = await configOf(base);
    const text = { ...(config['text_config'] as object), tie_word_embeddings: own };
    return parseModelSpec({ ...config, tie_word_embeddings: whole, text_config: text }, 'config.json').text
      .tiedHead;
  };
  test('is the outer one, and for LLaVA the text model’s too', async () => {
    for (const [whole, own] of [
      [true, false],
      [false, true],
      [undefined, true],
      [true, undefined],
      [false, false],
    ] as const) {
      expect(await tied('smolvlm-tiny', whole, own)).toBe(whole === true);
      expect(await tied('llava-tiny', whole, own)).toBe(whole === true || own);
    }
  });
});
