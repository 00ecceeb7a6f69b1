import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openKernels, type Kernels } from '@contextlora/kernels';
import { languageLogits, loadModel, ModelError, openCheckpoint } from '@contextlora/model';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { f32, ggufVariants, text, u32, variantIds, variantParts, writeVariant } from './gguf-variants.js';
import { fixture, worstDifference } from './golden.js';
import { type Value, writeGguf } from './write-gguf.js';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'variants-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const written = async (bytes: Uint8Array) => {
  const path = join(directory, 'file.gguf');
  await writeFile(path, bytes);
  return path;
};

describe.each(['reference', 'wasm', 'onnx'] as const)('on the %s backend', (backend) => {
  let kernels: Kernels;
  let expected: Readonly<Record<string, readonly number[]>>;
  beforeAll(async () => {
    kernels = await openKernels({ prefer: backend });
    expected = JSON.parse(await readFile(fixture('gguf-variants.json'), 'utf8')) as typeof expected;
  });
  afterAll(() => {
    kernels.dispose();
  });

  test.each(ggufVariants.map((variant) => [variant.name, variant] as const))(
    'a GGUF file with %s answers as in llama.cpp',
    async (name, variant) => {
      const model = await loadModel(await written(writeVariant(variant)), { kernels });
      const time = variantIds.length;
      const logits = languageLogits(
        model,
        { batch: 1, time, ids: Int32Array.from(variantIds), images: [] },
        { head: { rows: Int32Array.of(time - 1) } },
      );
      const values = logits.dataSync() as Float32Array;
      const most = Math.max(...values);
      const sum = values.reduce((total, value) => total + Math.exp(value - most), 0);
      const logs = values.map((value) => value - most - Math.log(sum));
      // The distances between variants are about 1; llama.cpp's exponentials and sums differ from ours in the last digits.
      expect(worstDifference(logs, expected[name]!)).toBeLessThan(2e-4);
      logits.dispose();
      model.dispose();
    },
  );
});

describe('a GGUF file is refused by name', () => {
  const opened = async (bytes: Uint8Array) => {
    const { weights } = await openCheckpoint(await written(bytes));
    await weights.close();
  };

  test.each<[setting: string, value: Value, message: string]>([
    [
      'rope.scaling.type',
      text('longrope'),
      'rope scaling "longrope" is not supported; none, linear and yarn are',
    ],
    ['rope.scaling.type', text('su'), 'rope scaling "su" is not supported'],
    ['rope.scaling.factor', f32(-2), 'rope scaling by -2, with attention factor 1'],
    ['rope.scaling.factor', text('4'), '"llama.rope.scaling.factor" is "4", and must be a number'],
    ['rope.scaling.attn_factor', f32(0), 'with attention factor 0'],
    ['rope.scaling.yarn_beta_fast', f32(64), 'not supported: "llama.rope.scaling.yarn_beta_fast" = 64'],
    ['rope.scaling.yarn_ext_factor', f32(0.5), '"llama.rope.scaling.yarn_ext_factor" = 0.5'],
    ['rope.scaling.yarn_log_multiplier', f32(1), '"llama.rope.scaling.yarn_log_multiplier" = 1'],
    ['rope.dimension_count', u32(4), '"rope.dimension_count" is 4 of 8'],
    [
      'rope.dimension_sections',
      { type: 'i32s', value: [1, 1, 2, 0] },
      '"llama.rope.dimension_sections" = [1, 1, 2, 0]',
    ],
    ['attention.value_length', u32(4), '"attention.value_length" is 4, and keys have 8'],
    ['attention.scale', f32(0.5), '"attention.scale" is 0.5; only 1 / √8 is supported'],
    ['attention.max_alibi_bias', f32(8), '"llama.attention.max_alibi_bias" = 8'],
    ['attention.clamp_kqv', f32(8), '"llama.attention.clamp_kqv" = 8'],
    [
      'attention.causal',
      { type: 'raw', kind: 7, bytes: Uint8Array.of(0) },
      '"llama.attention.causal" = false',
    ],
    ['attention.sliding_window_pattern', u32(2), '"llama.attention.sliding_window_pattern" = 2'],
    [
      'attention.head_count_kv',
      { type: 'i32s', value: [2, 4] },
      '"llama.attention.head_count_kv" differs between layers ([2, 4])',
    ],
    ['expert_count', u32(8), 'a mixture of experts is not supported'],
    ['expert_used_count', u32(2), '"llama.expert_used_count" = 2'],
    ['logit_scale', f32(0.25), '"llama.logit_scale" = 0.25'],
    ['residual_scale', f32(0.22), '"llama.residual_scale" = 0.22'],
    ['embedding_scale', f32(12), '"llama.embedding_scale" = 12'],
    ['final_logit_softcapping', f32(30), '"llama.final_logit_softcapping" = 30'],
    [
      'use_parallel_residual',
      { type: 'raw', kind: 7, bytes: Uint8Array.of(1) },
      '"llama.use_parallel_residual" = true',
    ],
    ['a_setting_of_tomorrow', u32(3), '"llama.a_setting_of_tomorrow" = 3'],
  ])('for the setting %s', async (setting, value, message) => {
    const attempt = opened(writeVariant({ settings: { [setting]: value } }));
    await expect(attempt).rejects.toThrow(message);
    await expect(attempt).rejects.toBeInstanceOf(ModelError);
  });

  test.each<[setting: string, value: Value]>([
    ['rope.scaling.yarn_beta_fast', f32(32)],
    ['rope.scaling.finetuned', { type: 'raw', kind: 7, bytes: Uint8Array.of(1) }],
    ['attention.causal', { type: 'raw', kind: 7, bytes: Uint8Array.of(1) }],
    ['attention.scale', f32(1 / Math.sqrt(8))],
    ['logit_scale', f32(1)],
    ['expert_count', u32(0)],
    ['attention.sliding_window', u32(0)],
    ['vocab_size', u32(64)],
    ['tensor_data_layout', text('Meta AI original pth')],
  ])('but not for %s with a value that changes nothing', async (setting, value) => {
    await expect(opened(writeVariant({ settings: { [setting]: value } }))).resolves.toBeUndefined();
  });

  test.each([
    ['blk.0.attn_q_norm.weight', 8],
    ['blk.1.attn_sinks.weight', 4],
    ['blk.0.post_attention_norm.weight', 32],
    ['blk.0.attn_q.scale', 1],
    ['blk.2.ffn_norm.weight', 32],
    ['output.bias', 64],
    ['cls.output.weight', 32],
  ])('for the tensor %s, as in llama.cpp', async (name, size) => {
    await expect(opened(writeVariant({ tensors: [[name, size]] }))).rejects.toThrow(
      `has tensors that a llama model with its settings does not have, and it would be computed without them:\n  "${name}"`,
    );
  });

  test('for biases of the MLP and divisors in an architecture without them', async () => {
    const tensors = (['blk.0.ffn_up.bias', 'rope_freqs.weight', 'blk.0.attn_output.bias'] as const).map(
      (name) => [name, 4] as const,
    );
    const attempt = opened(writeVariant({ architecture: 'qwen2', tensors }));
    for (const [name] of tensors) await expect(attempt).rejects.toThrow(`"${name}"`);
  });

  test('for one bias of the MLP without the others', async () => {
    const kernels = await openKernels({ prefer: 'reference' });
    const path = await written(writeVariant({ tensors: [['blk.0.ffn_down.bias', 32]] }));
    await expect(loadModel(path, { kernels })).rejects.toThrow(
      '"model.layers.0.mlp.gate_proj.bias" [48] is missing',
    );
    kernels.dispose();
  });

  test('for divisors of another size or together with yarn', async () => {
    await expect(opened(writeVariant({ tensors: [['rope_freqs.weight', 8]] }))).rejects.toThrow(
      'tensor "rope_freqs.weight" has 8 numbers, and a head 4 pairs',
    );
    await expect(
      opened(
        writeVariant({
          settings: { 'rope.scaling.type': text('yarn'), 'rope.scaling.factor': f32(2) },
          tensors: [['rope_freqs.weight', 4]],
        }),
      ),
    ).rejects.toThrow('"rope_freqs.weight" together with rope scaling "yarn" is not supported');
  });

  test.each([
    ['general.type', text('adapter'), 'the file is of type "adapter", and not a model'],
    ['split.count', u32(3), 'the file is one of 3 parts of a model'],
  ])('for %s', async (key, value, message) => {
    const parts = variantParts({});
    await expect(
      opened(writeGguf({ ...parts, metadata: [...parts.metadata, [key, value]] })),
    ).rejects.toThrow(message);
  });

  test('for a missing epsilon or context length, which llama.cpp needs too', async () => {
    const parts = variantParts({});
    const metadata = parts.metadata.filter(([key]) => !/epsilon|context/.test(key));
    await expect(opened(writeGguf({ ...parts, metadata }))).rejects.toThrow(
      '"llama.context_length" is null, "llama.attention.layer_norm_rms_epsilon" is null',
    );
  });
});
