import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { compressWeight, openKernels, type Kernels } from '@contextlora/kernels';
import {
  decodeSafetensors,
  type Dtype,
  encodeSafetensors,
  type FileTensor,
  float32Tensor,
} from '@contextlora/lora/safetensors';
import {
  generate,
  languageLogits,
  loadLayers,
  loadModel,
  openCheckpoint,
  scoreLabels,
} from '@contextlora/model';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { variantParts } from './gguf-variants.js';
import { fixture } from './golden.js';
import { writeGguf } from './write-gguf.js';

let kernels: Kernels;
let directory: string;
beforeAll(async () => {
  kernels = await openKernels({ prefer: 'wasm' });
  directory = await mkdtemp(join(tmpdir(), 'tensors-'));
});
afterAll(async () => {
  kernels.dispose();
  await rm(directory, { recursive: true, force: true });
});

type Tensors = Map<string, FileTensor>;
const tokenizerDirectory = fixture('llama-tiny');
const load = async (path: string) => {
  const model = await loadModel(path, { kernels, tokenizerDirectory });
  model.dispose();
  return model;
};

/** A fixture with other tensors. */
async function withTensors(base: string, change: (own: Tensors) => Tensors): Promise<string> {
  const path = join(directory, base);
  await cp(fixture(base), path, { recursive: true });
  const own = new Map(decodeSafetensors(await readFile(fixture(base, 'model.safetensors'))).tensors);
  await writeFile(join(path, 'model.safetensors'), encodeSafetensors(change(own)));
  return path;
}
const zeros = (...shape: number[]): FileTensor =>
  float32Tensor(shape, new Float32Array(shape.reduce((product, n) => product * n, 1)));
const added = (name: string, tensor: FileTensor) => (own: Tensors) => own.set(name, tensor);

/** The types that are not read, and the bytes of eight values. */
const otherTypes: readonly (readonly [Dtype, number])[] = [
  ['F64', 64],
  ['I64', 64],
  ['U64', 64],
  ['U32', 32],
  ['U16', 16],
  ['C64', 64],
  ['F8_E4M3', 8],
  ['F8_E5M2', 8],
  ['F8_E8M0', 8],
  ['F6_E2M3', 6],
  ['F4', 4],
  ['BOOL', 8],
];

describe('a tensor of a type that is not read', () => {
  test.each(otherTypes)('does no harm in %s if nothing uses it', async (dtype, bytes) => {
    const tensor = { dtype, shape: [8], bytes: new Uint8Array(bytes) };
    await load(await withTensors('f16', added('extra.table', tensor)));
  });

  test.each(otherTypes)('is named with its type in %s if the model needs it', async (dtype, bytes) => {
    const name = 'model.layers.1.self_attn.q_proj.weight';
    const attempt = load(
      await withTensors('f16', (own) => {
        const tensor = (shape: readonly number[]) => ({
          dtype,
          shape,
          bytes: new Uint8Array((shape.reduce((product, n) => product * n, 1) * bytes) / 8),
        });
        return own.set(name, tensor(own.get(name)!.shape)).set('model.norm.weight', tensor([48]));
      }),
    );
    await expect(attempt).rejects.toThrow(
      `"model.norm.weight" is of type ${dtype}, and weights are read in F32, F16 and BF16\n  "${name}" is of type ${dtype}`,
    );
    await expect(attempt).rejects.not.toThrow('damaged');
    await expect(attempt).rejects.toMatchObject({ code: 'MODEL_UNSUPPORTED' });
  });
});

describe('a weight that the config does not speak of', () => {
  test.each([
    ['f16', 'model.layers.0.self_attn.q_proj.bias', [48]],
    ['f16', 'model.layers.1.self_attn.o_proj.bias', [48]],
    ['f16', 'model.layers.1.mlp.up_proj.bias', [64]],
    ['f16', 'model.layers.0.self_attn.q_norm.weight', [12]],
    ['f16', 'layers.0.self_attn.k_norm.weight', [12]],
    ['f16', 'model.layers.0.self_attn.sinks', [4]],
    ['f16', 'model.layers.0.pre_feedforward_layernorm.weight', [48]],
    ['f16', 'model.layers.0.mlp.down_proj.weight_scale', [1]],
    ['f16', 'model.norm.bias', [48]],
    ['f16', 'lm_head.bias', [96]],
    ['llava-tiny', 'language_model.model.layers.0.self_attn.q_proj.bias', [64]],
    ['llava-tiny', 'model.multi_modal_projector.linear_1.scale', [64]],
    ['llava-tiny', 'vision_tower.embeddings.patch_embedding.bias', [48]],
    ['smolvlm-tiny', 'model.connector.modality_projection.proj.bias', [64]],
    ['smolvlm-tiny', 'model.vision_model.encoder.layers.1.layer_scale1', [48]],
  ] as const)('is refused by name in %s: %s', async (base, name, shape) => {
    const attempt = load(await withTensors(base, added(name, zeros(...shape))));
    await expect(attempt).rejects.toThrow(
      `has weights that its config does not speak of, and the model would be computed without them; does the config belong to these files?\n  "${name}"`,
    );
    await expect(attempt).rejects.toMatchObject({ code: 'MODEL_UNSUPPORTED' });
  });

  test('is refused in a float8 too, and as a layer that the config does not have', async () => {
    const tensor = { dtype: 'F8_E4M3', shape: [48], bytes: new Uint8Array(48) } as const;
    await expect(
      load(await withTensors('f16', added('model.layers.0.self_attn.q_proj.bias', tensor))),
    ).rejects.toThrow('"model.layers.0.self_attn.q_proj.bias"');
    const layer = (own: Tensors) =>
      own.set('model.layers.2.input_layernorm.weight', zeros(48)).set('model.layers.3.x.weight', zeros(4));
    await expect(load(await withTensors('f16', layer))).rejects.toThrow(
      'layers 2, 3, and the config has 2 layers',
    );
    await expect(openCheckpoint(await withTensors('f16', layer))).rejects.toThrow('layers 2, 3');
  });

  test.each([
    ['f16', 'model.layers.0.self_attn.rotary_emb.inv_freq', zeros(6)],
    [
      'f16',
      'model.layers.0.self_attn.rotary_emb.positions',
      { dtype: 'I64', shape: [1], bytes: new Uint8Array(8) },
    ],
    ['f16', 'model.layers.0.self_attn.mask', { dtype: 'BOOL', shape: [4], bytes: new Uint8Array(4) }],
    ['f16', 'score.weight', zeros(2, 48)],
    ['f16', 'value_head.bias', zeros(1)],
    ['llava-tiny', 'vision_tower.post_layernorm.bias', zeros(48)],
    ['llava-tiny', 'vision_tower.encoder.layers.9.layer_norm1.weight', zeros(48)],
    [
      'llava-tiny',
      'vision_tower.embeddings.position_ids',
      { dtype: 'I64', shape: [1, 1], bytes: new Uint8Array(8) },
    ],
    ['smolvlm-tiny', 'model.vision_model.head.probe', zeros(1, 1, 48)],
  ] as const)('is left alone in %s where nothing would compute with it: %s', async (base, name, tensor) => {
    await load(await withTensors(base, added(name, tensor)));
  });
});

describe('the names of tensors', () => {
  const renamed = (base: string, rename: (name: string) => string) =>
    withTensors(base, (own) => new Map([...own].map(([name, tensor]) => [rename(name), tensor])));

  test.each(['f16', 'smolvlm-tiny', 'llava-tiny'])('may lack "model." in %s', async (base) => {
    const bare = await renamed(base, (name) => name.replace(/^model\./, ''));
    const tokens = { batch: 1, time: 3, ids: Int32Array.of(5, 6, 7), images: [] };
    const [own, other] = await Promise.all(
      [fixture(base), bare].map(async (path) => {
        const model = await loadModel(path, { kernels, tokenizerDirectory });
        const logits = languageLogits(model, tokens, { head: { rows: Int32Array.of(2) } });
        const values = [...logits.dataSync()];
        logits.dispose();
        model.dispose();
        return values;
      }),
    );
    expect(other).toEqual(own);
  });

  test.each(['module.', 'base_model.model.', '_orig_mod.model.'])(
    'with %s in front are said to be others, once',
    async (prefix) => {
      const attempt = load(await renamed('f16', (name) => prefix + name));
      await expect(attempt).rejects.toThrow(
        `(they have other names: "${prefix}model.embed_tokens.weight" for "model.embed_tokens.weight"; names that transformers gives are read, also without "model.")`,
      );
    },
  );

  test('of another kind of model are shown', async () => {
    const attempt = load(
      await withTensors('f16', () => new Map([['transformer.h.0.ln_1.weight', zeros(4)]])),
    );
    await expect(attempt).rejects.toThrow('(the files have "transformer.h.0.ln_1.weight"):');
  });

  test('must not name one weight twice', async () => {
    const name = 'model.layers.0.mlp.up_proj.weight';
    const attempt = load(
      await withTensors('f16', (own) => own.set(name.slice('model.'.length), own.get(name)!)),
    );
    await expect(attempt).rejects.toThrow(
      'has tensors "model.layers.0.mlp.up_proj.weight" and "layers.0.mlp.up_proj.weight", which are two names of one weight',
    );
  });
});

describe('a weight that is not finite is refused when it is loaded', () => {
  /** Sets the bits of one value. */
  const damaged = (name: string, at: number, bits: number) => (own: Tensors) => {
    const { dtype, shape, bytes } = own.get(name)!;
    const copy = Uint8Array.from(bytes);
    const view = new DataView(copy.buffer);
    if (dtype === 'F32') view.setUint32(4 * at, bits, true);
    else view.setUint16(2 * at, bits, true);
    return own.set(name, { dtype, shape, bytes: copy });
  };

  test.each([
    ['llama-tiny', 'model.layers.1.mlp.down_proj.weight', 0x7fc00000],
    ['llama-tiny', 'model.layers.1.input_layernorm.weight', 0xff800000],
    ['llama-tiny', 'model.embed_tokens.weight', 0x7f800000],
    ['llama-tiny', 'model.norm.weight', 0xffffffff],
    ['qwen2-tiny', 'model.layers.0.self_attn.k_proj.bias', 0x7f800001],
    ['qwen2-tiny', 'lm_head.weight', 0x7fc00000],
    ['f16', 'model.layers.0.self_attn.q_proj.weight', 0x7c00],
    ['smolvlm-tiny', 'model.vision_model.post_layernorm.bias', 0x7fc00000],
  ])('in %s, %s', async (base, name, bits) => {
    const path = await withTensors(base, damaged(name, 5, bits));
    for (const format of ['f32', 'stored', 'int8'] as const)
      await expect(loadModel(path, { kernels, tokenizerDirectory, base: format })).rejects.toThrow(
        `model.safetensors: tensor "${name}" holds 1 numbers that are NaN or infinite; the file is damaged, or its training diverged`,
      );
  });

  test('in bf16 shards', async () => {
    const path = join(directory, 'shards');
    await cp(fixture('llama-tiny-sharded-bf16'), path, { recursive: true });
    const file = join(path, 'model-00001-of-00002.safetensors');
    const own = new Map(decodeSafetensors(await readFile(file)).tensors);
    await writeFile(file, encodeSafetensors(damaged('model.embed_tokens.weight', 9, 0x7f80)(own)));
    await expect(load(path)).rejects.toThrow(
      'model-00001-of-00002.safetensors: tensor "model.embed_tokens.weight"',
    );
  });

  test.each([
    ['q8_0', 8, 0],
    ['q4_0', 2, 0],
    ['q4_1', 3, 0],
    ['q4_1', 3, 2],
  ] as const)('in the scales of %s blocks of a GGUF file (type %d, byte %d)', async (format, type, at) => {
    const parts = variantParts({});
    const tensors = parts.tensors.map((tensor) => {
      if (tensor.name !== 'blk.1.ffn_up.weight') return tensor;
      const values = new Float32Array(new Uint8Array(tensor.bytes).buffer);
      const [rows = 0, columns = 0] = tensor.shape;
      const weight = compressWeight(values, rows, columns, format);
      if (!('blocks' in weight)) throw new Error('a format of blocks');
      // The upper byte of a half that is NaN or infinite.
      weight.blocks[at + 1] = 0x7c;
      return { ...tensor, type, bytes: weight.blocks };
    });
    const path = join(directory, 'blocks.gguf');
    await writeFile(path, writeGguf({ ...parts, tensors }));
    for (const base of ['stored', 'f32', 'int8'] as const)
      await expect(loadModel(path, { kernels, base })).rejects.toThrow(
        /blocks\.gguf: tensor "model\.layers\.1\.mlp\.up_proj\.weight" holds \d+ (blocks|numbers) that are NaN or infinite/,
      );
  });
});

describe('options of loading and scoring are checked', () => {
  const wrong = (value: unknown) => value as never;
  test('with the formats that a base can be kept in', async () => {
    const message = 'base must be one of f32, stored, f16, int8, q8_0, q4_0, q4_1, w8a8, got "q4_K"';
    const options = { kernels, base: wrong('q4_K') };
    await expect(loadModel(fixture('llama-tiny'), options)).rejects.toThrow(`model/loadModel: ${message}`);
    await expect(loadLayers(fixture('llama-tiny'), { ...options, start: 0, end: 1 })).rejects.toThrow(
      `model/loadLayers: ${message}`,
    );
  });

  test('with the ways to compare labels', async () => {
    const model = await loadModel(fixture('llama-tiny'), { kernels });
    await expect(scoreLabels(model, 'the', ['a'], { lengths: wrong('median') })).rejects.toThrow(
      'model/scoreLabels: lengths must be sum or mean, got "median"',
    );
    model.dispose();
  });
});

test('a text beyond a sliding window is told the window', async () => {
  const model = await loadModel(fixture('mistral-tiny'), { kernels, tokenizerDirectory });
  const ids = new Array<number>(33).fill(5);
  const window = "the model has 32 positions of the model's sliding window".slice('the model has '.length);
  await expect(generate(model, ids).next()).rejects.toThrow(`but the model has ${window}; shorten it`);
  await expect(scoreLabels(model, ids, ['a'])).rejects.toThrow(`34 tokens exceed the ${window}`);
  await expect(scoreLabels(model, ids.slice(0, 30), ['the cat the cat'])).rejects.toThrow(
    `exceed the ${window}`,
  );
  model.dispose();
});
