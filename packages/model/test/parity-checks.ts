/**
 * Compares every number from PyTorch, transformers or PEFT in a fixture with ours; one list for the tests and `npm run parity`.
 */
import type { Kernels } from '@contextlora/kernels';
import { tensor2d } from '@contextlora/kernels/tfjs';
import { readPeftFolder } from '@contextlora/lora/files';
import {
  hiddenStates,
  languageLogits,
  languageLoss,
  loadModel,
  openCheckpoint,
  visionFeatures,
  visionTower,
  withReplacedWeights,
  type LoadedModel,
  type SegmentsByLinear,
  type TokenBatch,
} from '@contextlora/model';

import {
  batchOfGolden,
  fixture,
  Golden,
  largest,
  lossRequestOf,
  segmentsOf,
  worstDifference,
} from './golden.js';

export interface ParityCheck {
  readonly fixture: string;
  readonly quantity: string;
  /** The largest allowed error: absolute, or for gradients relative to the tensor's largest value. */
  readonly tolerance: number;
  /** The worst error. */
  readonly measure: (open: OpenModel) => Promise<number>;
}

/** Returns a model, the same one on every call. */
export type OpenModel = (name: string) => Promise<LoadedModel>;

/** Opens models for the checks; those without a tokenizer get llama-tiny's. */
export function openModels(kernels: Kernels): { readonly open: OpenModel; readonly dispose: () => void } {
  const models = new Map<string, Promise<LoadedModel>>();
  const opened: LoadedModel[] = [];
  return {
    open(name) {
      const model =
        models.get(name) ??
        loadModel(fixture(name), { kernels, tokenizerDirectory: fixture('llama-tiny') }).then((loaded) => {
          opened.push(loaded);
          return loaded;
        });
      models.set(name, model);
      return model;
    },
    dispose() {
      for (const model of opened) model.dispose();
    },
  };
}

const tolerances = {
  logits: 1e-4,
  loss: 1e-5,
  gradients: 1e-4,
  weights: 1e-4,
  meanWeights: 1e-6,
} as const;

const text = ['llama-tiny', 'qwen2-tiny'];
const families = [
  'llama3-rope',
  'linear-rope',
  'yarn',
  'longrope',
  'dynamic-rope',
  'qwen3-tiny',
  'mistral-tiny',
  'biases',
  'f16',
];
const adapters = [
  ['lora-llama', 'llama-tiny'],
  ['lora-qwen2', 'qwen2-tiny'],
  ['lora-rslora', 'llama-tiny'],
  ['lora-patterns', 'llama-tiny'],
  ['lora-layers', 'llama-tiny'],
  ['lora-modules', 'qwen2-tiny'],
  ['lora-qwen3', 'qwen3-tiny'],
] as const;

export const parityChecks: readonly ParityCheck[] = [
  ...[...text, ...families].map((name) => ({
    fixture: name,
    quantity: 'logits',
    tolerance: tolerances.logits,
    measure: async (open: OpenModel) => {
      const golden = await Golden.read(name, 'expected.safetensors');
      return logitsError(await open(name), golden, batchOfGolden(golden));
    },
  })),
  ...text.flatMap(textChecks),
  ...adapters.flatMap(([lora, base]) => adapterChecks(lora, base)),
  ...visionChecks('smolvlm-tiny'),
  ...visionChecks('llava-tiny'),
  adaptedVision(),
  otherImages('qwen2-llava', 'qwen2-llava', (golden) => imagesOf(golden).map((image) => [image])),
  otherImages('two-images', 'smolvlm-tiny', (golden) => {
    const [first, second, third] = imagesOf(golden);
    return [[first!, second!], [third!]];
  }),
  ...partitionChecks(),
  ...['f16', 'q8_0', 'q4_0', 'q4_1'].map((type) => ({
    fixture: `gguf-tiny ${type}`,
    quantity: 'tensors',
    tolerance: 0,
    measure: async () => {
      const { weights } = await openCheckpoint(fixture('gguf-tiny', `llama-tiny.${type}.gguf`));
      const golden = await Golden.read('gguf-tiny', `expected.${type}.safetensors`);
      const errors: number[] = [];
      for (const name of golden.names())
        errors.push(worstDifference(await weights.read(name), golden.floats(name)));
      await weights.close();
      return Math.max(...errors);
    },
  })),
];

function textChecks(name: string): ParityCheck[] {
  const read = () => Golden.read(name, 'expected.safetensors');
  return [
    {
      fixture: name,
      quantity: 'hidden states',
      tolerance: tolerances.logits,
      async measure(open) {
        const golden = await read();
        const mask = golden.integers('attention_mask');
        const states = hiddenStates(await open(name), batchOfGolden(golden));
        const errors = states.map((state, i) => {
          const columns = state.shape[1];
          const values = state.dataSync();
          state.dispose();
          return worstDifference(
            values,
            golden.floats(`hidden_states.${i}`),
            (at) => mask[Math.floor(at / columns)] === 1,
          );
        });
        return Math.max(...errors);
      },
    },
    {
      fixture: name,
      quantity: 'loss',
      tolerance: tolerances.loss,
      measure: async (open) => lossError(await open(name), await read(), new Map()),
    },
    {
      fixture: name,
      quantity: 'logits, padded left',
      tolerance: tolerances.logits,
      async measure(open) {
        const golden = await read();
        const ids = Int32Array.from(golden.integers('leftpad.input_ids'));
        const mask = golden.integers('leftpad.attention_mask');
        const tokens = { batch: 1, time: ids.length, ids, images: [], firstKeys: [mask.indexOf(1)] };
        return logitsError(await open(name), golden, tokens, { prefix: 'leftpad.' });
      },
    },
    {
      fixture: name,
      quantity: 'greedy tokens that differ',
      tolerance: 0,
      async measure(open) {
        const expected = (await read()).integers('greedy.output_ids');
        const model = await open(name);
        const ids = Int32Array.from(expected.slice(0, -1));
        const logits = languageLogits(
          model,
          { batch: 1, time: ids.length, ids, images: [] },
          { head: { rows: Int32Array.from({ length: ids.length - 5 }, (_, i) => i + 5) } },
        );
        const values = logits.dataSync();
        const columns = logits.shape[1];
        logits.dispose();
        return expected.slice(6).filter((id, i) => {
          const own = values.subarray(i * columns, (i + 1) * columns);
          return own.indexOf(Math.max(...own)) !== id;
        }).length;
      },
    },
  ];
}

function adapterChecks(lora: string, base: string): ParityCheck[] {
  const read = () => Golden.read(lora, 'expected.safetensors');
  const adapted = async (open: OpenModel) => {
    const { replaced } = await readPeftFolder(fixture(lora));
    const model = withReplacedWeights(await open(base), replaced);
    return { model, segments: await segmentsOf(model, [lora], { train: true }) };
  };
  const checks: ParityCheck[] = [
    {
      fixture: lora,
      quantity: 'logits',
      tolerance: tolerances.logits,
      async measure(open) {
        const golden = await read();
        const { model, segments } = await adapted(open);
        return logitsError(model, golden, batchOfGolden(golden), { segments });
      },
    },
    {
      fixture: lora,
      quantity: 'loss',
      tolerance: tolerances.loss,
      async measure(open) {
        const { model, segments } = await adapted(open);
        return lossError(model, await read(), segments);
      },
    },
    {
      fixture: lora,
      quantity: 'gradients',
      tolerance: tolerances.gradients,
      async measure(open) {
        const golden = await read();
        const { model, segments } = await adapted(open);
        return gradientsError(model, golden, { tokens: batchOfGolden(golden), segments });
      },
    },
  ];
  if (lora !== 'lora-llama' && lora !== 'lora-qwen2') return checks;
  const trained = async (open: OpenModel) => {
    const golden = await read();
    const { parameters, norm } = await trainThreeSteps(await open(base), golden, lora);
    const errors = [...parameters].map(([name, values]) => {
      const expected = golden.floats(`step3.${name}`);
      const differences = expected.map((value, i) => Math.abs(value - (values[i] ?? NaN)));
      return {
        worst: worstDifference(values, expected),
        sum: differences.reduce((total, value) => total + value, 0),
        count: expected.length,
      };
    });
    const sum = (key: 'sum' | 'count') => errors.reduce((total, error) => total + error[key], 0);
    return {
      worst: Math.max(...errors.map(({ worst }) => worst)),
      mean: sum('sum') / sum('count'),
      norm: Math.abs(norm / (golden.floats('grad_norm')[0] ?? NaN) - 1),
    };
  };
  return [
    ...checks,
    {
      fixture: lora,
      quantity: 'gradient norm, relative',
      tolerance: tolerances.loss,
      measure: async (open) => (await trained(open)).norm,
    },
    {
      fixture: lora,
      quantity: 'weights after 3 AdamW steps',
      tolerance: tolerances.weights,
      measure: async (open) => (await trained(open)).worst,
    },
    {
      fixture: lora,
      quantity: 'the same, mean',
      tolerance: tolerances.meanWeights,
      measure: async (open) => (await trained(open)).mean,
    },
  ];
}

const imagesOf = (golden: Golden) => {
  const pixels = golden.floats('pixel_values');
  const size = golden
    .shape('pixel_values')
    .slice(-3)
    .reduce((product, n) => product * n, 1);
  return Array.from({ length: pixels.length / size }, (_, i) => pixels.subarray(i * size, (i + 1) * size));
};

function partsOf(model: LoadedModel) {
  const { vision, connector, kernels, spec } = model;
  if (!vision || !connector || !spec.vision) throw new Error('the fixture has a vision tower');
  return { vision, connector, kernels, spec: spec.vision };
}

function visionChecks(name: string): ParityCheck[] {
  const read = () => Golden.read(name, 'expected.safetensors');
  const features = async (open: OpenModel, golden: Golden) => {
    const { vision, kernels, spec } = partsOf(await open(name));
    return visionFeatures(imagesOf(golden), vision, { kernels, spec });
  };
  return [
    {
      fixture: name,
      quantity: 'vision hidden states',
      tolerance: tolerances.logits,
      async measure(open) {
        const golden = await read();
        const { vision, kernels, spec } = partsOf(await open(name));
        const hidden = visionTower(imagesOf(golden), vision, { kernels, spec });
        const values = hidden.dataSync();
        hidden.dispose();
        return worstDifference(values, golden.floats('vision_hidden'));
      },
    },
    {
      fixture: name,
      quantity: 'image embeddings',
      tolerance: tolerances.logits,
      async measure(open) {
        const golden = await read();
        const { connector, kernels } = partsOf(await open(name));
        const all = (await features(open, golden)).flatMap((image) => [...image]);
        const x = tensor2d(all, [all.length / connector.inFeatures, connector.inFeatures]);
        const { y, saved } = kernels.linear(x, connector);
        const values = y.dataSync();
        saved.dispose();
        x.dispose();
        y.dispose();
        return worstDifference(values, golden.floats('image_embeds'));
      },
    },
    {
      fixture: name,
      quantity: 'logits',
      tolerance: tolerances.logits,
      async measure(open) {
        const golden = await read();
        return logitsError(await open(name), golden, batchOfGolden(golden, await features(open, golden)));
      },
    },
    {
      fixture: name,
      quantity: 'loss',
      tolerance: tolerances.loss,
      async measure(open) {
        const golden = await read();
        return lossError(await open(name), golden, new Map(), await features(open, golden));
      },
    },
  ];
}

function adaptedVision(): ParityCheck {
  return {
    fixture: 'lora-smolvlm',
    quantity: 'gradients',
    tolerance: tolerances.gradients,
    async measure(open) {
      const model = await open('smolvlm-tiny');
      const [inputs, golden] = [
        await Golden.read('smolvlm-tiny', 'expected.safetensors'),
        await Golden.read('lora-smolvlm', 'expected.safetensors'),
      ];
      const { vision, kernels, spec } = partsOf(model);
      const tokens = batchOfGolden(inputs, await visionFeatures(imagesOf(inputs), vision, { kernels, spec }));
      const segments = await segmentsOf(model, ['lora-smolvlm'], { train: true });
      return gradientsError(model, golden, { tokens, segments, labels: inputs });
    },
  };
}

/** Logits of rows with any number of images, whose features are concatenated. */
function otherImages(
  name: string,
  base: string,
  rowsOf: (golden: Golden) => readonly (readonly Float32Array[])[],
): ParityCheck {
  return {
    fixture: name,
    quantity: 'logits',
    tolerance: tolerances.logits,
    async measure(open) {
      const model = await open(base);
      const golden = await Golden.read(name, 'expected.safetensors');
      const { vision, kernels, spec } = partsOf(model);
      const features: Float32Array[] = [];
      for (const images of rowsOf(golden)) {
        const ofRow = await visionFeatures(images, vision, { kernels, spec });
        features.push(Float32Array.from(ofRow.flatMap((image) => [...image])));
      }
      return logitsError(model, golden, batchOfGolden(golden, features));
    },
  };
}

function partitionChecks(): ParityCheck[] {
  const logits = (
    fixtureName: string,
    quantity: string,
    name: string,
    folders: readonly string[],
  ): ParityCheck => ({
    fixture: fixtureName,
    quantity,
    tolerance: tolerances.logits,
    async measure(open) {
      const model = await open('llama-tiny');
      const golden = await Golden.read('partition', 'expected.safetensors');
      const segments = await segmentsOf(model, folders, { train: false });
      return logitsError(model, golden, batchOfGolden(golden), { segments, name });
    },
  });
  const closures = {
    vehicle: ['vehicle'],
    weather: ['weather'],
    road: ['weather', 'road'],
    strategy: ['vehicle', 'weather', 'road', 'strategy'],
  };
  const segment = (task: string) => `partition/segments/${task}`;
  return [
    ...Object.entries(closures).flatMap(([task, closure]) => [
      logits(`partition ${task}`, 'logits of its segments', `logits.${task}`, closure.map(segment)),
      logits(`partition ${task}`, 'logits of its composed adapter', `logits.${task}`, [
        `partition/composed/${task}`,
      ]),
    ]),
    logits('partition', 'logits with a rank pattern', 'logits.rank_pattern', ['partition/rank_pattern']),
    {
      fixture: 'partition strategy',
      quantity: 'gradients over frozen ancestors',
      tolerance: tolerances.gradients,
      async measure(open) {
        const model = await open('llama-tiny');
        const [inputs, golden] = [
          await Golden.read('llama-tiny', 'expected.safetensors'),
          await Golden.read('partition', 'grads-strategy.safetensors'),
        ];
        const segments = await segmentsOf(model, closures.strategy.map(segment), { train: true });
        return gradientsError(model, golden, { tokens: batchOfGolden(inputs), segments, labels: inputs });
      },
    },
  ];
}

/** Logits at every position, compared where the attention mask is 1. */
function logitsError(
  model: LoadedModel,
  golden: Golden,
  tokens: TokenBatch,
  {
    segments = new Map(),
    prefix = '',
    name = `${prefix}logits`,
  }: { segments?: SegmentsByLinear; prefix?: string; name?: string } = {},
): number {
  const rows = Int32Array.from({ length: tokens.batch * tokens.time }, (_, i) => i);
  const logits = languageLogits(model, tokens, { head: { rows }, segments });
  const maskName = `${prefix}attention_mask`;
  const mask = golden.names().includes(maskName) ? golden.integers(maskName) : undefined;
  const columns = logits.shape[1];
  const values = logits.dataSync();
  logits.dispose();
  return worstDifference(
    values,
    golden.floats(name),
    (i) => mask === undefined || mask[Math.floor(i / columns)] === 1,
  );
}

async function lossError(
  model: LoadedModel,
  golden: Golden,
  segments: SegmentsByLinear,
  images: readonly Float32Array[] = [],
): Promise<number> {
  const frozen = new Map([...segments].map(([name, of]) => [name, of.map((s) => ({ ...s, train: false }))]));
  const { loss } = languageLoss(model, batchOfGolden(golden, images), {
    head: lossRequestOf(golden),
    segments: frozen,
  });
  return Math.abs((await loss) - (golden.floats('loss')[0] ?? NaN));
}

/**
 * The worst difference of any gradient relative to its tensor's largest value; Infinity unless exactly the expected gradients exist. The
 * gradient of a replaced head (`modules_to_save`) is not computed, because replaced weights are frozen.
 */
function gradientsError(
  model: LoadedModel,
  golden: Golden,
  { tokens, segments, labels = golden }: { tokens: TokenBatch; segments: SegmentsByLinear; labels?: Golden },
): number {
  const { gradients } = languageLoss(model, tokens, { head: lossRequestOf(golden, labels), segments });
  const errors: number[] = [];
  const seen: string[] = [];
  for (const [layer, of] of gradients)
    for (const gradient of of)
      for (const side of ['a', 'b'] as const) {
        if (!gradient) continue;
        const name = `grad.base_model.model.${layer}.lora_${side.toUpperCase()}.weight`;
        seen.push(name);
        const values = gradient[side].dataSync();
        gradient[side].dispose();
        if (!golden.names().includes(name)) return Infinity;
        const expected = golden.floats(name);
        errors.push(worstDifference(values, expected) / largest(expected));
      }
  const expected = golden
    .names()
    .filter((name) => name.startsWith('grad.') && !name.includes('modules_to_save'));
  return seen.sort().join() === expected.sort().join() ? Math.max(...errors) : Infinity;
}

/** lr 1e-2, betas 0.9 / 0.999, decoupled decay 0.01, clipping to norm 1, three steps on one batch. */
async function trainThreeSteps(
  model: LoadedModel,
  golden: Golden,
  lora: string,
): Promise<{ parameters: Map<string, Float32Array>; norm: number }> {
  const tokens = batchOfGolden(golden);
  const start = await segmentsOf(model, [lora], { train: true });
  const parameters = new Map<string, Float32Array>();
  const moments = new Map<string, [Float32Array, Float32Array]>();
  const nameOf = (layer: string, side: 'a' | 'b') =>
    `base_model.model.${layer}.lora_${side.toUpperCase()}.weight`;
  for (const [layer, [segment]] of start)
    for (const side of ['a', 'b'] as const) {
      const values = Float32Array.from(segment![side].dataSync());
      parameters.set(nameOf(layer, side), values);
      moments.set(nameOf(layer, side), [new Float32Array(values.length), new Float32Array(values.length)]);
    }
  let firstNorm = NaN;
  for (let step = 1; step <= 3; step++) {
    const segments: SegmentsByLinear = new Map(
      [...start].map(([layer, [old]]) => {
        const upload = (side: 'a' | 'b') => tensor2d(parameters.get(nameOf(layer, side))!, old![side].shape);
        return [layer, [{ ...old!, a: upload('a'), b: upload('b') }]];
      }),
    );
    const { gradients } = languageLoss(model, tokens, { head: lossRequestOf(golden), segments });
    const flat = [...gradients].flatMap(([layer, [gradient]]) =>
      gradient
        ? (['a', 'b'] as const).map(
            (side) => [nameOf(layer, side), Float32Array.from(gradient[side].dataSync())] as const,
          )
        : [],
    );
    const norm = Math.sqrt(flat.reduce((sum, [, values]) => sum + values.reduce((s, g) => s + g * g, 0), 0));
    if (step === 1) firstNorm = norm;
    for (const [name, gradient] of flat) {
      const [first, second] = moments.get(name)!;
      model.kernels.adamW(parameters.get(name)!, gradient, first, second, {
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
  return { parameters, norm: firstNorm };
}
