import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Kernels, openKernels } from '@contextlora/kernels';
import {
  type AdapterModules,
  composeTask,
  initialiseSegments,
  keyedRandom,
  partitionRanks,
  type Segments,
} from '@contextlora/lora';
import { readSafetensors } from '@contextlora/lora/files';
import {
  encodeGgufAdapter,
  languageLogits,
  linearsOf,
  type LoadedModel,
  loadModel,
  mergeModel,
  type MergeModelOptions,
  type ModelSpec,
  readModelSpec,
  withAdapter,
} from '@contextlora/model';

import { fixture } from './golden.js';
import { type Value, writeGguf } from './write-gguf.js';

let kernels: Kernels;
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'model-exports-'));
  kernels = await openKernels({ prefer: 'wasm' });
});
afterAll(async () => {
  kernels.dispose();
  await rm(directory, { recursive: true, force: true });
});

const load = (path: string) => loadModel(path, { kernels, tokenizerDirectory: fixture('llama-tiny') });

/** The composed adapter of a task with one parent, as if both had been trained. */
function adapterOf(spec: ModelSpec): AdapterModules {
  const tasks = [
    { id: 'weather', dependsOn: [] },
    { id: 'road', dependsOn: ['weather'] },
  ];
  const partition = partitionRanks(linearsOf(spec), tasks, { rank: 4 });
  const random = keyedRandom(1, 'exports');
  const segments: Segments = Object.fromEntries(
    Object.entries(initialiseSegments(partition, { seed: 1 })).map(([task, segment]) => [
      task,
      Object.fromEntries(
        Object.entries(segment).map(([linear, { b, ...pair }]) => [
          linear,
          { ...pair, b: b.map(() => 0.4 * (random.next() - 0.5)) },
        ]),
      ),
    ]),
  );
  // Scales other than 1, as adapters have that were not composed.
  return Object.fromEntries(
    Object.entries(composeTask(partition, segments, 'road')).map(([name, module]) => [
      name,
      { ...module, scale: 0.5 },
    ]),
  );
}

function logits(model: LoadedModel, segments = {}): Float32Array {
  const ids = Int32Array.of(5, 6, 7, 8);
  const result = languageLogits(
    model,
    { batch: 1, time: ids.length, ids, images: [] },
    { head: { rows: Int32Array.of(1, 3) }, ...segments },
  );
  const values = result.dataSync().slice() as Float32Array;
  result.dispose();
  return values;
}
const farthest = (p: Float32Array, q: Float32Array) =>
  Math.max(...p.map((value, i) => Math.abs(value - q[i]!)));

async function merge(name: string, out: string, options: MergeModelOptions = {}): Promise<string> {
  const merging = mergeModel(
    fixture(name),
    adapterOf(await readModelSpec(fixture(name))),
    join(directory, out),
    options,
  );
  let last = { doneBytes: 0, totalBytes: 1 };
  for await (const progress of merging) last = progress;
  expect(last.doneBytes).toBe(last.totalBytes);
  return join(directory, out);
}

describe('a merged model', () => {
  test.each(['llama-tiny', 'llama-tiny-sharded-bf16', 'qwen2-tiny', 'smolvlm-tiny', 'llava-tiny'])(
    'of %s has the logits of the base with the adapter',
    async (name) => {
      const merged = await load(await merge(name, name));
      const base = await load(fixture(name));
      const adapted = withAdapter(base, { modules: adapterOf(base.spec) });
      const [ours, theirs, plain] = [
        logits(merged),
        logits(adapted.model, { segments: adapted.segments }),
        logits(base),
      ];
      expect(farthest(ours, theirs)).toBeLessThan(2e-5);
      expect(farthest(ours, plain)).toBeGreaterThan(1e-2);
      adapted.dispose();
      base.dispose();
      merged.dispose();
    },
  );

  test('is float32 with a configuration that says so, or in the type of the base, rounded', async () => {
    const wide = await merge('llama-tiny-sharded-bf16', 'wide');
    const stored = await merge('llama-tiny-sharded-bf16', 'stored', { dtype: 'stored' });
    const typesOf = async (path: string) => {
      const { tensors } = await readSafetensors(join(path, 'model.safetensors'));
      return [...new Set([...tensors.values()].map(({ dtype }) => dtype))];
    };
    const config = async (path: string) =>
      JSON.parse(await readFile(join(path, 'config.json'), 'utf8')) as object;
    expect([await typesOf(wide), await typesOf(stored)]).toEqual([['F32'], ['BF16']]);
    expect(await config(stored)).toEqual(await config(fixture('llama-tiny-sharded-bf16')));
    expect(Object.values(await config(wide))).not.toContain('bfloat16');
    const [one, other] = [await load(wide), await load(stored)];
    const distance = farthest(logits(one), logits(other));
    expect(distance).toBeGreaterThan(0);
    expect(distance).toBeLessThan(0.1);
    one.dispose();
    other.dispose();
  });

  test('is there whole or not at all', async () => {
    const modules = adapterOf(await readModelSpec(fixture('llama-tiny')));
    const out = join(directory, 'ended');
    const merging = mergeModel(fixture('llama-tiny'), modules, out);
    await merging.next();
    await merging.return();
    expect(await readdir(out)).not.toContain('model.safetensors');
    expect(await readdir(out)).not.toContain('model.safetensors.partial');
  });

  test('is refused for a base without configuration, and for an adapter of another model, by name', async () => {
    const modules = adapterOf(await readModelSpec(fixture('llama-tiny')));
    const gguf = mergeModel(fixture('gguf-tiny/llama-tiny.q8_0.gguf'), modules, join(directory, 'no'));
    await expect(gguf.next()).rejects.toMatchObject({ code: 'MODEL_UNSUPPORTED' });
    const other = mergeModel(fixture('smolvlm-tiny'), modules, join(directory, 'no'));
    await expect(other.next()).rejects.toThrow(
      /no matrices for these of its modules:[^]*"model\.layers\.0\./,
    );
    expect(await readdir(directory)).not.toContain('no');
  });
});

describe('a GGUF adapter', () => {
  const names: Readonly<Record<string, string>> = {
    ...{ q_proj: 'attn_q', k_proj: 'attn_k', v_proj: 'attn_v', o_proj: 'attn_output' },
    ...{ gate_proj: 'ffn_gate', up_proj: 'ffn_up', down_proj: 'ffn_down' },
  };
  /** What another writer makes of the modules, with the rows of q and k in the file's order or not. */
  function expected(
    { text }: ModelSpec,
    architecture: string,
    modules: AdapterModules,
    permutes: boolean,
  ): Buffer {
    const string = (value: string): Value => ({ type: 'text', value });
    const half = text.headDim / 2;
    return writeGguf({
      metadata: [
        ['general.type', string('adapter')],
        ['general.architecture', string(architecture)],
        ['adapter.type', string('lora')],
        ['adapter.lora.alpha', { type: 'f32', value: 0 }],
      ],
      tensors: Object.keys(modules)
        .sort()
        .flatMap((module) => {
          const { rank, scale, a, b, inFeatures, outFeatures } = modules[module]!;
          const [, layer, part = ''] = /layers\.(\d+)\.\w+\.(\w+)$/.exec(module) ?? [];
          const rows = Array.from({ length: outFeatures }, (_, row) => {
            const within = row % text.headDim;
            const source =
              permutes && /^[qk]_/.test(part)
                ? row - within + (within % 2) * half + Math.floor(within / 2)
                : row;
            return Array.from(b.slice(source * rank, (source + 1) * rank), (value) => scale * value);
          });
          const name = `blk.${layer}.${names[part]}.weight`;
          const bytes = (values: Float32Array) =>
            Buffer.from(values.buffer, values.byteOffset, values.byteLength);
          return [
            { name: `${name}.lora_a`, shape: [rank, inFeatures], type: 0, bytes: bytes(a) },
            {
              name: `${name}.lora_b`,
              shape: [outFeatures, rank],
              type: 0,
              bytes: bytes(Float32Array.from(rows.flat())),
            },
          ];
        }),
    });
  }

  test.each([
    ['llama-tiny', 'llama', true],
    ['mistral-tiny', 'llama', true],
    ['qwen2-tiny', 'qwen2', false],
    ['qwen3-tiny', 'qwen3', false],
  ])('of %s has the names and the order of rows of llama.cpp', async (name, architecture, permutes) => {
    const spec = await readModelSpec(fixture(name));
    const modules = adapterOf(spec);
    const bytes = Buffer.from(encodeGgufAdapter(spec, modules));
    expect(bytes.equals(expected(spec, architecture, modules, permutes))).toBe(true);
  });

  test('has no place for a connector that was trained, and leaves out what was not', async () => {
    const spec = await readModelSpec(fixture('smolvlm-tiny'));
    const modules = adapterOf(spec);
    expect(() => encodeGgufAdapter(spec, modules)).toThrow(
      /no place for these modules; merge them instead:[^]*"model\.connector/,
    );
    const connector = spec.vision!.connector.name;
    const untrained = { ...modules[connector]!, b: new Float32Array(modules[connector]!.b.length) };
    const others = Object.fromEntries(Object.entries(modules).filter(([name]) => name !== connector));
    expect(encodeGgufAdapter(spec, { ...modules, [connector]: untrained })).toEqual(
      encodeGgufAdapter(spec, others),
    );
  });
});
