import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  type AdapterModule,
  composeTask,
  initialiseSegments,
  type Partition,
  partitionRanks,
  segmentOf,
  type Segments,
} from '@contextlora/lora';
import {
  hashSegment,
  makeDirectory,
  readPartition,
  readPeftFolder,
  readSafetensors,
  writePartition,
  writePeftFolder,
  writeSafetensors,
} from '@contextlora/lora/files';
import {
  decodeSafetensors,
  encodeSafetensors,
  float32Tensor,
  toFloat32,
} from '@contextlora/lora/safetensors';
import fc from 'fast-check';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lora-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));
const fixture = (...parts: string[]) => join(import.meta.dirname, 'fixtures', ...parts);

const configOf = async (folder: string) =>
  JSON.parse(await readFile(join(folder, 'adapter_config.json'), 'utf8')) as Record<string, unknown>;

const worst = (a: Float32Array, b: Float32Array) =>
  a.length === b.length ? Math.max(0, ...a.map((value, i) => Math.abs(value - (b[i] ?? NaN)))) : Infinity;

/** The golden partition: its tasks, and each segment from its own PEFT folder. */
async function goldenPartition(): Promise<{ partition: Partition; segments: Segments }> {
  const alphas = { vehicle: 4, weather: 5, road: 1, strategy: 3 };
  const dependsOn = { vehicle: [], weather: [], road: ['weather'], strategy: ['vehicle', 'road'] };
  const order = Object.keys(alphas) as (keyof typeof alphas)[];
  const folders = await Promise.all(order.map((task) => readPeftFolder(fixture('partition/segments', task))));
  const layers = Object.entries(folders[0]?.modules ?? {}).map(([name, { inFeatures, outFeatures }]) => {
    let start = 0;
    const spans = order.map((task, i) => {
      const end = start + (folders[i]?.modules[name]?.rank ?? 0);
      const span = [task, { start, end }] as const;
      start = end;
      return span;
    });
    return [name, { inFeatures, outFeatures, spans: Object.fromEntries(spans) }] as const;
  });
  return {
    partition: {
      version: 1,
      order,
      tasks: Object.fromEntries(
        order.map((task) => [task, { dependsOn: dependsOn[task], alpha: alphas[task], scaling: 'standard' }]),
      ),
      layers: Object.fromEntries(layers),
    },
    segments: Object.fromEntries(order.map((task, i) => [task, segmentOf(folders[i]?.modules ?? {})])),
  };
}

describe('PEFT folders', () => {
  test.each(['vehicle', 'weather', 'road', 'strategy'])(
    'the closure of %s composes to the adapter PEFT was checked with',
    async (task) => {
      const { partition, segments } = await goldenPartition();
      const composed = composeTask(partition, segments, task);
      const expected = (await readPeftFolder(fixture('partition/composed', task))).modules;
      expect(Object.keys(composed).sort()).toEqual(Object.keys(expected).sort());
      for (const [name, { a, b, rank, scale }] of Object.entries(expected)) {
        expect(composed[name]).toMatchObject({ rank, scale });
        expect(worst(composed[name]?.a ?? new Float32Array(), a)).toBeLessThan(4e-8);
        expect(worst(composed[name]?.b ?? new Float32Array(), b)).toBeLessThan(4e-7);
      }
    },
  );

  test('a written folder reads back to the same bits and scale, with no key in its config that PEFT does not know', async () => {
    const { partition, segments } = await goldenPartition();
    const out = join(directory, 'strategy');
    await writePeftFolder(out, composeTask(partition, segments, 'strategy'));
    const { modules } = await readPeftFolder(out);
    expect(modules).toEqual(composeTask(partition, segments, 'strategy'));
    const keys = Object.keys(JSON.parse(await readFile(join(out, 'adapter_config.json'), 'utf8')) as object);
    const known = Object.keys(
      JSON.parse(await readFile(fixture('lora-patterns/adapter_config.json'), 'utf8')) as object,
    );
    expect(keys.filter((key) => !known.includes(key))).toEqual([]);
    expect(keys).toEqual([...keys].sort());
    expect(await readdir(out)).toEqual(['adapter_config.json', 'adapter_model.safetensors']);
  });

  test('modules of different ranks get patterns that keep their scale at 1', async () => {
    const { modules } = await readPeftFolder(fixture('partition/rank_pattern'));
    expect(new Set(Object.values(modules).map(({ rank }) => rank)).size).toBeGreaterThan(1);
    expect(Object.values(modules).every(({ scale }) => scale === 1)).toBe(true);
    const out = join(directory, 'pattern');
    await writePeftFolder(out, modules);
    expect((await readPeftFolder(out)).modules).toEqual(modules);
  });

  test('name the base, and target no linear of the model beside their modules', async () => {
    const { modules } = await readPeftFolder(fixture('partition/segments/road'));
    const [out, part] = [join(directory, 'named'), join(directory, 'part')];
    await writePeftFolder(out, modules, { baseModel: 'some/model' });
    expect(await configOf(out)).toMatchObject({
      base_model_name_or_path: 'some/model',
      target_modules: ['down_proj', 'q_proj', 'v_proj'],
    });
    const linears = [...Object.keys(modules), 'model.layers.2.self_attn.q_proj'];
    await writePeftFolder(part, modules, { linears });
    const { target_modules: targets, base_model_name_or_path: base } = await configOf(part);
    expect(base).toBeNull();
    expect(linears.filter((name) => new RegExp(`^(?:${String(targets)})$`).test(name))).toEqual(
      Object.keys(modules),
    );
    expect((await readPeftFolder(part)).modules).toEqual(modules);
  });

  test('foreign adapters keep their own rank and alpha per module, rsLoRA and replaced weights', async () => {
    const patterns = (await readPeftFolder(fixture('lora-patterns'))).modules;
    const of = (end: string): AdapterModule | undefined =>
      Object.entries(patterns).find(([name]) => name.endsWith(end))?.[1];
    expect(of('layers.0.self_attn.q_proj')).toMatchObject({ rank: 2, scale: 4 });
    expect(of('layers.1.self_attn.v_proj')).toMatchObject({ rank: 4, scale: 1 });
    expect(of('layers.1.mlp.up_proj')).toMatchObject({ rank: 6, scale: 8 / 6 });
    const rslora = (await readPeftFolder(fixture('lora-rslora'))).modules;
    expect(Object.values(rslora)[0]?.scale).toBe(8 / Math.sqrt(4));
    const { replaced } = await readPeftFolder(fixture('lora-modules'));
    expect(Object.keys(replaced)).toEqual(['lm_head.weight']);
  });

  test('a config with a byte order mark is read as one without, and another encoding is named', async () => {
    const out = join(directory, 'marked');
    await cp(fixture('lora-rslora'), out, { recursive: true });
    const path = join(out, 'adapter_config.json');
    const text = await readFile(path, 'utf8');
    await writeFile(path, `\ufeff${text}`);
    expect(await readPeftFolder(out)).toEqual(await readPeftFolder(fixture('lora-rslora')));
    await writeFile(path, Buffer.from(`\ufeff${text}`, 'utf16le'));
    await expect(readPeftFolder(out)).rejects.toThrow(/adapter_config\.json is not UTF-8; save it as UTF-8/);
  });

  test('what is not a LoRA, or is not there, is refused with the reason', async () => {
    const out = join(directory, 'dora');
    await cp(fixture('lora-rslora'), out, { recursive: true });
    const path = join(out, 'adapter_config.json');
    const config = JSON.parse(await readFile(path, 'utf8')) as object;
    await writeFile(path, JSON.stringify({ ...config, use_dora: true, peft_type: 'IA3' }));
    await expect(readPeftFolder(out)).rejects.toThrow(/peft_type is "IA3"[\s\S]*DoRA is not supported/);
    await expect(readPeftFolder(join(directory, 'nowhere'))).rejects.toThrow('has no adapter_config.json');
  });

  const pair = (module: string): [string, ReturnType<typeof float32Tensor>][] => [
    [`base_model.model.${module}.lora_A.weight`, float32Tensor([1, 2], Float32Array.of(1, 2))],
    [`base_model.model.${module}.lora_B.weight`, float32Tensor([2, 1], Float32Array.of(1, 2))],
  ];
  const config = { peft_type: 'LORA', r: 1, lora_alpha: 2, target_modules: ['q_proj'] };
  const one = float32Tensor([1], Float32Array.of(1));
  test.each([
    ['DoRA', { use_dora: true }, [['q_proj.lora_magnitude_vector', one]], /DoRA is not supported/],
    [
      'magnitudes',
      {},
      [['q_proj.lora_magnitude_vector', one]],
      /"q_proj\.lora_magnitude_vector": DoRA is not/,
    ],
    ['a bias', { bias: 'all' }, [], /bias must be "none"/],
    ['a bias of LoRA', { lora_bias: true }, [['q_proj.lora_B.bias', one]], /lora_bias is true, which is not/],
    ['a bias of LoRA in the weights', {}, [['q_proj.lora_B.bias', one]], /a bias of LoRA is not supported/],
    [
      'an adapter name in its tensors',
      {},
      [['q_proj.lora_A.default.weight', one]],
      /as of a training checkpoint/,
    ],
    ['trained tokens', { trainable_token_indices: [1] }, [], /trainable_token_indices is \[1\]/],
    ['half a pair', {}, [pair('k_proj')[1]!], /"k_proj": lora_B \[2, 1\] has no lora_A/],
    [
      'no numbers',
      {},
      [['base_model.model.v_proj.lora_A.weight', { ...one, dtype: 'I32' }]],
      /is of type I32/,
    ],
    ['a broken expression', { alpha_pattern: { '(': 1 } }, [], /alpha_pattern "\(" is not a regular/],
    [
      'an alpha that is not a number',
      { lora_alpha: null, alpha_pattern: { q: 'x' } },
      [],
      /lora_alpha[\s\S]*"q" is not a number/,
    ],
  ] as const)('with %s are refused with the reason', async (name, change, tensors, message) => {
    const out = join(directory, `refused-${name.replaceAll(' ', '-')}`);
    await mkdir(out);
    await writeFile(join(out, 'adapter_config.json'), JSON.stringify({ ...config, ...change }));
    const all = [
      ...pair('q_proj'),
      ...(tensors as unknown as typeof pair extends (m: string) => infer T ? T : never),
    ];
    await writeSafetensors(join(out, 'adapter_model.safetensors'), all);
    await expect(readPeftFolder(out)).rejects.toThrow(message);
  });
});

describe('partitions on disk', () => {
  const linears = [
    { name: 'model.text_model.layers.0.self_attn.q_proj', inFeatures: 5, outFeatures: 3, layerIndex: 0 },
    { name: 'model.connector.modality_projection.proj', inFeatures: 4, outFeatures: 5 },
  ];
  const tasks = [
    { id: 'a', dependsOn: [] },
    { id: 'b', dependsOn: ['a'] },
  ];

  test.each(['standard', 'rslora'] as const)('round-trip to the bit with %s scaling', async (scaling) => {
    const partition = partitionRanks(linears, tasks, { rank: 5, scaling, alpha: 3 });
    const segments = initialiseSegments(partition, { seed: 4 });
    const out = join(directory, `partition-${scaling}`);
    await writePartition(out, partition, segments, { baseModel: 'some/model' });
    expect((await configOf(join(out, 'segments/a')))['base_model_name_or_path']).toBe('some/model');
    const read = await readPartition(out);
    expect(read.partition).toEqual(partition);
    for (const task of partition.order)
      expect(hashSegment(read.segments[task] ?? {})).toBe(hashSegment(segments[task] ?? {}));
  });

  test('notice a segment that differs from the one recorded in the manifest', async () => {
    const partition = partitionRanks(linears, tasks, { rank: 4 });
    const out = join(directory, 'swapped');
    await writePartition(out, partition, initialiseSegments(partition, { seed: 1 }));
    await cp(join(out, 'segments/a'), join(out, 'segments/b'), { recursive: true });
    await expect(readPartition(out)).rejects.toThrow(
      'the segment of "b" differs from the one recorded in the manifest',
    );
  });
});

describe('safetensors', () => {
  test('equal tensors give equal bytes whatever their order, aligned to 8', () => {
    const [x, y] = [float32Tensor([2], Float32Array.of(1, 2)), float32Tensor([1, 1], Float32Array.of(3))];
    const bytes = encodeSafetensors(
      [
        ['y', y],
        ['x', x],
      ],
      { b: '2', a: '1' },
    );
    expect(
      encodeSafetensors(
        [
          ['x', x],
          ['y', y],
        ],
        { a: '1', b: '2' },
      ),
    ).toEqual(bytes);
    expect(new DataView(bytes.buffer).getUint32(0, true) % 8).toBe(0);
    const { tensors, metadata } = decodeSafetensors(bytes);
    expect(metadata).toEqual({ a: '1', b: '2' });
    expect([...toFloat32(tensors.get('x') ?? x)]).toEqual([1, 2]);
  });

  test('a Buffer that shares its memory with others is read like any other bytes', () => {
    const pool = Buffer.concat([
      Buffer.alloc(3),
      encodeSafetensors([['x', float32Tensor([2], Float32Array.of(1, 2))]]),
    ]);
    const { tensors } = decodeSafetensors(pool.subarray(3));
    const tensor = tensors.get('x');
    expect(tensor && [...toFloat32(tensor)]).toEqual([1, 2]);
  });

  test('f16 values widen exactly, special ones included', () => {
    const words = Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00, 0x8000, 0x7e00);
    const half = { dtype: 'F16', shape: [7], bytes: new Uint8Array(words.buffer) } as const;
    expect([...toFloat32(half)]).toEqual([1, -2, 2 ** -24, 65504, Infinity, -0, NaN]);
  });

  test.each([
    ['a header longer than the file', (b: Uint8Array) => b.fill(0xff, 0, 4), /the header claims/],
    ['a truncated file', (b: Uint8Array) => b.subarray(0, b.length - 1), /is the file truncated/],
    ['a header that is not JSON', (b: Uint8Array) => b.fill(0x21, 8, 9), /not JSON/],
  ])('%s is refused', async (name, harm, message) => {
    const good = encodeSafetensors([['x', float32Tensor([4], new Float32Array(4))]]);
    const path = join(directory, `${name}.safetensors`);
    await writeFile(path, harm(good));
    await expect(readSafetensors(path)).rejects.toThrow(message);
  });

  test.each([
    ['overlapping tensors', { a: [0, 8], b: [4, 12] }, /overlap/],
    ['a shape that does not match its bytes', { a: [0, 12] }, /needs 8 bytes but has 12/],
    ['offsets outside', { a: [0, 8], b: [8, 16_000_000] }, /is the file truncated/],
  ])('%s are refused', (_, entries, message) => {
    const header = Object.fromEntries(
      Object.entries(entries).map(([name, data_offsets]) => [
        name,
        { dtype: 'F32', shape: [2], data_offsets },
      ]),
    );
    const json = Buffer.from(JSON.stringify(header));
    const bytes = new Uint8Array(8 + json.length + 16);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
    bytes.set(json, 8);
    expect(() => decodeSafetensors(bytes)).toThrow(message);
  });

  test('any damage is either harmless or a clear error', () => {
    const good = encodeSafetensors(
      [
        ['x', float32Tensor([2, 2], new Float32Array(4))],
        ['y', float32Tensor([1], new Float32Array(1))],
      ],
      { k: 'v' },
    );
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        fc.nat(good.length),
        (flips, length) => {
          const bytes = good.slice(0, Math.max(length, 4));
          for (const [at, value] of flips) if (at < bytes.length) bytes[at] = value;
          try {
            decodeSafetensors(bytes);
          } catch (error) {
            expect((error as Error).message).toMatch(/^lora\/readSafetensors: /);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('a directory is made with its parents, and one that exists is left as it is', async () => {
    const path = join(directory, 'made/of/parts');
    await makeDirectory(path);
    await writeFile(join(path, 'kept'), 'kept');
    await Promise.all([makeDirectory(path), makeDirectory(path), makeDirectory(join(path, 'deeper'))]);
    expect(await readdir(path)).toEqual(['deeper', 'kept']);
    await expect(makeDirectory(join(path, 'kept/below'))).rejects.toMatchObject({ code: 'ENOTDIR' });
    await expect(makeDirectory(join(path, 'kept'))).rejects.toMatchObject({ code: 'EEXIST' });
  });

  (process.platform === 'linux' ? test : test.skip)(
    'a place where nothing can be made is an error at once',
    async () => {
      await expect(makeDirectory('/proc/contextlora/run')).rejects.toMatchObject({ code: 'ENOENT' });
    },
  );

  test('a failed write leaves the old file and nothing else', async () => {
    const folder = join(directory, 'in the way');
    await mkdir(join(folder, 'x.safetensors/kept'), { recursive: true });
    await expect(writeSafetensors(join(folder, 'x.safetensors'), [])).rejects.toThrow();
    expect(await readdir(folder, { recursive: true })).toEqual(['x.safetensors', 'x.safetensors/kept']);
  });

  test('a file is replaced whole, and nothing is left of the writing', async () => {
    const path = join(directory, 'whole.safetensors');
    await writeSafetensors(path, [['x', float32Tensor([1], Float32Array.of(1))]]);
    await writeSafetensors(path, [['x', float32Tensor([1], Float32Array.of(2))]]);
    const { tensors } = await readSafetensors(path, { names: ['x'] });
    expect(tensors.get('x')?.bytes).toEqual(new Uint8Array(Float32Array.of(2).buffer));
    expect((await readdir(directory)).filter((name) => name.includes('partial'))).toEqual([]);
    await expect(readSafetensors(path, { names: ['z'] })).rejects.toThrow('has no tensor "z"');
  });
});
