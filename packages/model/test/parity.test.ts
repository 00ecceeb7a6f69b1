import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openKernels, type Kernels } from '@contextlora/kernels';
import {
  hiddenStates,
  languageLogits,
  languageLoss,
  loadModel,
  pixelShuffle,
  readTokenizer,
  visionTower,
  type LoadedModel,
  type SegmentsByLayer,
  type TokenBatch,
} from '@contextlora/model';
import { readFile } from 'node:fs/promises';

import {
  batchOfGolden,
  fixture,
  Golden,
  largest,
  lossRequestOf,
  segmentsOf,
  worstDifference,
} from './golden.js';

const allRows = ({ batch, time }: TokenBatch) => Int32Array.from({ length: batch * time }, (_, i) => i);

/** Logits at every position, compared where the attention mask is 1. */
function logitsError(
  model: LoadedModel,
  golden: Golden,
  tokens: TokenBatch,
  segments: SegmentsByLayer = new Map(),
) {
  const logits = languageLogits(model, tokens, { head: { rows: allRows(tokens) }, segments });
  const mask = golden.integers('attention_mask');
  const columns = logits.shape[1];
  const error = worstDifference(
    logits.dataSync(),
    golden.floats('logits'),
    (i) => mask[Math.floor(i / columns)] === 1,
  );
  logits.dispose();
  return error;
}

/** Per gradient tensor: worst difference over the largest value; every expected one must be there, and no other. */
function gradientErrors(
  model: LoadedModel,
  golden: Golden,
  { tokens, segments, labels = golden }: { tokens: TokenBatch; segments: SegmentsByLayer; labels?: Golden },
) {
  const { loss, gradients } = languageLoss(model, tokens, { head: lossRequestOf(golden, labels), segments });
  const errors: number[] = [];
  const seen: string[] = [];
  for (const [layer, of] of gradients)
    for (const gradient of of)
      for (const side of ['a', 'b'] as const) {
        if (!gradient) continue;
        const name = `grad.base_model.model.${layer}.lora_${side.toUpperCase()}.weight`;
        const expected = golden.floats(name);
        errors.push(worstDifference(gradient[side].dataSync(), expected) / largest(expected));
        seen.push(name);
        gradient[side].dispose();
      }
  expect(seen.sort()).toEqual(
    golden
      .names()
      .filter((name) => name.startsWith('grad.'))
      .sort(),
  );
  return { loss, worst: Math.max(...errors) };
}

describe.each(['reference', 'wasm', 'onnx'] as const)('on the %s ground', (ground) => {
  let kernels: Kernels;
  const models = new Map<string, LoadedModel>();
  const open = async (name: string) => {
    const model =
      models.get(name) ??
      (await loadModel(fixture(name), { kernels, tokenizerDirectory: fixture('llama-tiny') }));
    models.set(name, model);
    return model;
  };
  beforeAll(async () => {
    kernels = await openKernels({ prefer: ground });
  });
  afterAll(() => {
    for (const model of models.values()) model.dispose();
    kernels.dispose();
  });

  test.each(['llama-tiny', 'qwen2-tiny'])(
    '%s gives the logits, hidden states and loss of transformers',
    async (name) => {
      const [model, golden] = [await open(name), await Golden.read(name, 'expected.safetensors')];
      const tokens = batchOfGolden(golden);
      expect(logitsError(model, golden, tokens)).toBeLessThan(1e-4);
      const mask = golden.integers('attention_mask');
      for (const [i, state] of hiddenStates(model, tokens).entries()) {
        const error = worstDifference(
          state.dataSync(),
          golden.floats(`hidden_states.${i}`),
          (at) => mask[Math.floor(at / 64)] === 1,
        );
        expect(error).toBeLessThan(1e-4);
        state.dispose();
      }
      const { loss } = languageLoss(model, tokens, { head: lossRequestOf(golden), segments: new Map() });
      expect(Math.abs(loss - (golden.floats('loss')[0] ?? NaN))).toBeLessThan(1e-5);
    },
  );

  test.each([
    ['f16', 1e-3, 1e-2],
    ['int8', 3e-2, 0.3],
    ['q4_0', 0.4, 4],
  ] as const)('a base kept in %s moves logits by what its rounding explains', async (base, least, most) => {
    const golden = await Golden.read('llama-tiny', 'expected.safetensors');
    const model = await loadModel(fixture('llama-tiny'), { kernels, base });
    const error = logitsError(model, golden, batchOfGolden(golden));
    // Steps of 2⁻¹², 1/254 and 1/16 of the largest weight; the fixture's weights are random, so that nothing averages out.
    expect(error).toBeGreaterThan(least);
    expect(error).toBeLessThan(most);
    model.dispose();
  });

  test('greedy continuation equals that of transformers, token for token', async () => {
    const [model, golden] = [
      await open('llama-tiny'),
      await Golden.read('llama-tiny', 'expected.safetensors'),
    ];
    const expected = golden.integers('greedy.output_ids');
    const ids = expected.slice(0, 6);
    while (ids.length < expected.length) {
      const tokens = { batch: 1, time: ids.length, ids: Int32Array.from(ids), images: [] };
      const logits = languageLogits(model, tokens, { head: { rows: Int32Array.of(ids.length - 1) } });
      const values = [...logits.dataSync()];
      logits.dispose();
      ids.push(values.indexOf(Math.max(...values)));
    }
    expect(ids).toEqual(expected);
  });

  test('bf16 shards hold the weights of the single file, rounded', async () => {
    const [whole, shards] = [await open('llama-tiny'), await open('llama-tiny-sharded-bf16')];
    const relative = Array.from(
      whole.embedding,
      (value, i) => Math.abs(value - (shards.embedding[i] ?? NaN)) / Math.max(1e-6, Math.abs(value)),
    );
    expect(Math.max(...relative)).toBeLessThan(2 ** -8);
    expect(Math.max(...relative)).toBeGreaterThan(0);
  });

  test.each([
    ['lora-llama', 'llama-tiny'],
    ['lora-qwen2', 'qwen2-tiny'],
  ])('%s gives the gradients of PEFT and, after three AdamW steps, its weights', async (lora, base) => {
    const [model, golden] = [await open(base), await Golden.read(lora, 'expected.safetensors')];
    const tokens = batchOfGolden(golden);
    const segments = await segmentsOf(model, [lora], { train: true });
    expect(logitsError(model, golden, tokens, segments)).toBeLessThan(1e-4);
    const { loss, worst } = gradientErrors(model, golden, { tokens, segments });
    expect(Math.abs(loss - (golden.floats('loss')[0] ?? NaN))).toBeLessThan(1e-5);
    expect(worst).toBeLessThan(1e-4);

    const trained = await trainThreeSteps(model, golden, { tokens, lora });
    let largestError = 0;
    let sum = 0;
    let count = 0;
    for (const [name, values] of trained) {
      const expected = golden.floats(`step3.${name}`);
      largestError = Math.max(largestError, worstDifference(values, expected));
      sum += expected.reduce((total, value, i) => total + Math.abs(value - (values[i] ?? NaN)), 0);
      count += expected.length;
    }
    expect(largestError).toBeLessThan(1e-4);
    expect(sum / count).toBeLessThan(1e-6);
  });

  test('a VLM gives the image features, logits, loss and LoRA gradients of transformers and PEFT', async () => {
    const [model, golden] = [
      await open('smolvlm-tiny'),
      await Golden.read('smolvlm-tiny', 'expected.safetensors'),
    ];
    const { vision, connector } = model;
    const spec = model.spec.vision;
    if (!vision || !connector || !spec) throw new Error('the fixture has a vision tower');
    const pixels = golden.floats('pixel_values');
    const size = pixels.length / 2;
    const hidden = visionTower([pixels.subarray(0, size), pixels.subarray(size)], vision, { spec, kernels });
    expect(worstDifference(hidden.dataSync(), golden.floats('vision_hidden'))).toBeLessThan(1e-4);
    const values = hidden.dataSync();
    const features = [0, 1].map((i) =>
      pixelShuffle(
        Float32Array.from(values.subarray((i * values.length) / 2, ((i + 1) * values.length) / 2)),
        spec,
      ),
    );
    const tokens = batchOfGolden(golden, features);
    expect(logitsError(model, golden, tokens)).toBeLessThan(1e-4);
    const { loss } = languageLoss(model, tokens, { head: lossRequestOf(golden), segments: new Map() });
    expect(Math.abs(loss - (golden.floats('loss')[0] ?? NaN))).toBeLessThan(1e-5);

    const adapted = await Golden.read('lora-smolvlm', 'expected.safetensors');
    const segments = await segmentsOf(model, ['lora-smolvlm'], { train: true });
    const result = gradientErrors(model, adapted, { tokens, segments, labels: golden });
    expect(Math.abs(result.loss - (adapted.floats('loss')[0] ?? NaN))).toBeLessThan(1e-5);
    expect(result.worst).toBeLessThan(1e-4);
  });

  test('a step over frozen ancestors gives the gradients of PEFT for the trained segment and none elsewhere', async () => {
    const model = await open('llama-tiny');
    const [base, golden] = [
      await Golden.read('llama-tiny', 'expected.safetensors'),
      await Golden.read('partition', 'grads-strategy.safetensors'),
    ];
    const closure = ['vehicle', 'weather', 'road', 'strategy'].map((task) => `partition/segments/${task}`);
    const segments = await segmentsOf(model, closure, { train: true });
    const { loss, worst } = gradientErrors(model, golden, {
      tokens: batchOfGolden(base),
      segments,
      labels: base,
    });
    expect(Math.abs(loss - (golden.floats('loss')[0] ?? NaN))).toBeLessThan(1e-5);
    expect(worst).toBeLessThan(1e-4);
  });

  test.each([
    ['vehicle', ['vehicle']],
    ['road', ['weather', 'road']],
    ['strategy', ['vehicle', 'weather', 'road', 'strategy']],
  ])('the closure of %s equals the merged weights', async (task, closure) => {
    const [model, golden] = [
      await open('llama-tiny'),
      await Golden.read('partition', 'expected.safetensors'),
    ];
    const tokens = batchOfGolden(golden);
    const segments = await segmentsOf(
      model,
      closure.map((id) => `partition/segments/${id}`),
      { train: false },
    );
    const logits = languageLogits(model, tokens, { head: { rows: allRows(tokens) }, segments });
    const mask = golden.integers('attention_mask');
    const error = worstDifference(
      logits.dataSync(),
      golden.floats(`logits.${task}`),
      (i) => mask[Math.floor(i / logits.shape[1])] === 1,
    );
    expect(error).toBeLessThan(1e-4);
  });
});

test('token ids and decoded text equal those of the Python tokenizers', async () => {
  const tokenizer = await readTokenizer(fixture('llama-tiny'));
  const { encode } = JSON.parse(await readFile(fixture('tokenizer-expected.json'), 'utf8')) as {
    encode: { text: string; ids: number[]; decoded: string; decoded_skip: string }[];
  };
  for (const { text, ids, decoded, decoded_skip: skipped } of encode) {
    expect(tokenizer.encode(text)).toEqual(ids);
    expect(tokenizer.decode(ids)).toBe(decoded);
    expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe(skipped);
  }
});

/** lr 1e-2, betas 0.9 / 0.999, decoupled decay 0.01, clipping to norm 1, three steps on one batch. */
async function trainThreeSteps(
  model: LoadedModel,
  golden: Golden,
  { tokens, lora }: { tokens: TokenBatch; lora: string },
): Promise<Map<string, Float32Array>> {
  const { tensor2d } = await import('@tensorflow/tfjs-core');
  const start = await segmentsOf(model, [lora], { train: true });
  const names = [...start.keys()];
  const parameters = new Map<string, Float32Array>();
  const moments = new Map<string, [Float32Array, Float32Array]>();
  for (const [layer, [segment]] of start)
    for (const side of ['a', 'b'] as const) {
      const name = `base_model.model.${layer}.lora_${side.toUpperCase()}.weight`;
      const values = Float32Array.from(segment?.[side].dataSync() ?? []);
      parameters.set(name, values);
      moments.set(name, [new Float32Array(values.length), new Float32Array(values.length)]);
    }
  const nameOf = (layer: string, side: 'a' | 'b') =>
    `base_model.model.${layer}.lora_${side.toUpperCase()}.weight`;
  for (let step = 1; step <= 3; step++) {
    const segments: SegmentsByLayer = new Map(
      names.map((layer) => {
        const [old] = start.get(layer) ?? [];
        if (!old) throw new Error('segment');
        const upload = (side: 'a' | 'b') =>
          tensor2d(parameters.get(nameOf(layer, side)) ?? new Float32Array(), old[side].shape);
        return [layer, [{ ...old, a: upload('a'), b: upload('b') }]];
      }),
    );
    const { gradients } = languageLoss(model, tokens, { head: lossRequestOf(golden), segments });
    const flat = [...gradients].flatMap(([layer, [gradient]]) =>
      (['a', 'b'] as const).map(
        (side) => [nameOf(layer, side), Float32Array.from(gradient?.[side].dataSync() ?? [])] as const,
      ),
    );
    const norm = Math.sqrt(flat.reduce((sum, [, values]) => sum + values.reduce((s, g) => s + g * g, 0), 0));
    if (step === 1) expect(Math.abs(norm / (golden.floats('grad_norm')[0] ?? NaN) - 1)).toBeLessThan(1e-5);
    for (const [name, gradient] of flat) {
      const [first, second] = moments.get(name) ?? [new Float32Array(), new Float32Array()];
      model.kernels.adamW(parameters.get(name) ?? new Float32Array(), gradient, first, second, {
        learningRate: 1e-2,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weightDecay: 0.01,
        step,
        gradientScale: Math.min(1, 1 / (norm + 1e-6)),
      });
    }
  }
  return parameters;
}
