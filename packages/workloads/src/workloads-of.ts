/**
 * Where the two halves meet: a model, its partition and its phases (ContextLoRA) become workloads (ContextGear).
 *
 * The layers of a workload are the embedding (with vision tower and connector where there are any), the decoder layers, and the head.
 * FLOPs are those of the products that `decoderLayer`, `languageLoss` and `visionTower` ask of the kernels, per sample, as `countFlops`
 * counts them: a linear layer computes through its base and its active segments, forward and for the gradient of its input; gradients of
 * A and B only where something trains; a gradient of an input only where something trains before it. Freezing and masking appear as
 * these numbers and as nothing else.
 */
import { compactFormats } from '@contextlora/kernels';
import { masksFor, type Partition, type Roles } from '@contextlora/lora';
import type { BaseFormat } from '@contextlora/model';
import {
  type LayerLinear,
  layerLinears,
  layerTensors,
  linearsOf,
  type ModelSpec,
  modelTensors,
} from '@contextlora/model';
import type { LayerCost, Workload } from '@contextlora/scheduler';
import type { Phase } from '@contextlora/trainer';

/** What one training sample of a task looks like. */
export interface SampleShape {
  /** Tokens of prompt and answer, image tokens among them. */
  readonly tokens: number;
  /** Tokens whose logits the loss needs. */
  readonly answered: number;
  /** Columns of the output matrix that are scored: the labels, or the whole vocabulary when absent. */
  readonly columns?: number;
  /** Images that its tokens contain; 0 when absent. */
  readonly images?: number;
  /** Whether the vision tower's outputs are at hand, so that it does not run. */
  readonly featuresKept?: boolean;
}

export interface TaskTraining {
  readonly sample: SampleShape;
  /** Of one optimizer step. */
  readonly samples: number;
  readonly steps?: number;
  readonly epochs?: number;
}

/** What base weights are kept as in memory, known before a file is read. */
export type KeptFormat = Exclude<BaseFormat, 'stored'>;

export interface WorkloadsOfOptions {
  /** How each task trains. */
  readonly trainingOf: (task: string) => TaskTraining;
  /** What the decoder layers' frozen weights are kept as; `f32` when absent. */
  readonly base?: KeptFormat;
  /** Bytes of one number sent between devices; 4 when absent. */
  readonly messageBytes?: number;
}

/** One workload per training task, in the order of the phases. Tasks depend on each other as the partition says. */
export function workloadsOf(
  spec: ModelSpec,
  partition: Partition,
  phases: readonly Phase[],
  options: WorkloadsOfOptions,
): Workload[] {
  return phases.flatMap(({ tasks, roles }) =>
    tasks.map((task): Workload => {
      const training = options.trainingOf(task);
      const { sample, samples, steps, epochs } = training;
      return {
        name: task,
        samples,
        ...(steps === undefined ? {} : { steps }),
        ...(epochs === undefined ? {} : { epochs }),
        dependsOn: partition.tasks[task]?.dependsOn ?? [],
        layers: layersOf(spec, partition, roles[task] ?? {}, { sample, ...options }),
      };
    }),
  );
}

interface LinearRanks {
  /** Of the segments that a step computes with. */
  readonly active: number;
  readonly trained: number;
  /** Of all tasks, kept whether active or not. */
  readonly kept: number;
}

interface LayerOptions extends Omit<WorkloadsOfOptions, 'trainingOf'> {
  readonly sample: SampleShape;
}

function layersOf(
  spec: ModelSpec,
  partition: Partition,
  roles: Roles,
  { sample, base = 'f32', messageBytes = 4 }: LayerOptions,
): LayerCost[] {
  const { text, vision } = spec;
  const shapes = new Map(linearsOf(spec).map((shape) => [shape.name, shape]));
  const masks = new Map(masksFor(partition, roles).map(({ layer, active }) => [layer, active]));
  const ranksOf = (name: string): LinearRanks => {
    const active = masks.get(name) ?? [];
    const sum = (some: readonly { readonly span: { readonly start: number; readonly end: number } }[]) =>
      some.reduce((total, { span }) => total + span.end - span.start, 0);
    return {
      active: sum(active),
      trained: sum(active.filter(({ train }) => train)),
      kept: sum(Object.values(partition.layers[name]?.spans ?? {}).map((span) => ({ span }))),
    };
  };
  const linear = (name: string): Linear => {
    const { inFeatures, outFeatures } = shapes.get(name)!;
    return { inFeatures, outFeatures, ...ranksOf(name) };
  };
  const decoder = Array.from(
    { length: text.layerCount },
    (_, depth) =>
      Object.fromEntries(
        layerLinears.map((name) => [name, linear(`${text.prefix}layers.${depth}.${name}`)]),
      ) as Record<LayerLinear, Linear>,
  );
  const connectorName = linearsOf(spec).find(({ layerIndex }) => layerIndex === undefined)?.name;
  const connector = connectorName === undefined ? undefined : linear(connectorName);
  const images = sample.images ?? 0;
  const imageTokens = vision ? images * vision.tokenCount : 0;
  const connectorTrains = connector !== undefined && connector.trained > 0 && images > 0;
  const lowest = connectorTrains
    ? -1
    : decoder.findIndex((linears) => Object.values(linears).some(({ trained }) => trained > 0));
  const trainsAnything = lowest >= 0 || connectorTrains;
  const outputBytes = messageBytes * text.hiddenSize * sample.tokens;
  const columns = sample.columns ?? text.vocabularySize;
  const tableBytes = 4 * text.vocabularySize * text.hiddenSize;
  const headFlops = 2 * sample.answered * text.hiddenSize * columns;
  return [
    {
      name: 'embedding',
      forwardFlops:
        (vision && !sample.featuresKept ? images * visionFlops(vision, text.hiddenSize) : 0) +
        (connector ? throughFlops(connector, imageTokens) : 0),
      inputFlops: 0,
      weightFlops: connectorTrains
        ? gradientFlops(connector, imageTokens) + downFlops(connector, imageTokens)
        : 0,
      parameterBytes: otherBytes(spec) + (connector ? segmentBytes(connector, 'kept') : 0),
      ...(connectorTrains ? trainedBytes([connector]) : { gradientBytes: 0, optimizerBytes: 0 }),
      activationBytes: connectorTrains ? 4 * imageTokens * (connector.inFeatures + connector.active) : 0,
      outputBytes,
    },
    ...decoder.map((linears, depth): LayerCost => {
      const owes = trainsAnything && depth >= lowest;
      const backward = owes
        ? backwardFlops(linears, spec, sample.tokens, { input: depth > lowest })
        : { input: 0, weight: 0 };
      return {
        name: `layer ${depth}`,
        forwardFlops:
          Object.values(linears).reduce((sum, one) => sum + throughFlops(one, sample.tokens), 0) +
          2 * pairFlops(spec, sample.tokens),
        inputFlops: backward.input,
        weightFlops: backward.weight,
        parameterBytes: Object.values(linears).reduce(
          (sum, one) => sum + segmentBytes(one, 'kept'),
          layerBytes(spec, depth, base),
        ),
        ...trainedBytes(Object.values(linears)),
        activationBytes: owes ? keptBytes(linears, spec, sample.tokens) : 0,
        outputBytes,
      };
    }),
    {
      name: 'head',
      forwardFlops: headFlops,
      inputFlops: trainsAnything ? headFlops : 0,
      weightFlops: 0,
      // A tied head is the embedding's table; on another device it is there once more.
      parameterBytes: tableBytes + 4 * text.hiddenSize,
      gradientBytes: 0,
      optimizerBytes: 0,
      activationBytes: trainsAnything ? 4 * sample.answered * (2 * text.hiddenSize + 1 + columns) : 0,
      outputBytes: 0,
    },
  ];
}

interface Linear extends LinearRanks {
  readonly inFeatures: number;
  readonly outFeatures: number;
}

/** 2 · rows · (in · out + active ranks · (in + out)) */
const throughFlops = ({ inFeatures, outFeatures, active }: Linear, rows: number): number =>
  2 * rows * (inFeatures * outFeatures + active * (inFeatures + outFeatures));

/** 2 · rows · trained ranks · (in + out) */
const gradientFlops = ({ inFeatures, outFeatures, trained }: Linear, rows: number): number =>
  2 * rows * trained * (inFeatures + outFeatures);

/** dy B, which the input's gradient contains where it is owed. */
const downFlops = ({ outFeatures, trained }: Linear, rows: number): number =>
  2 * rows * outFeatures * trained;

/** One product over all pairs of a sample's positions, of all heads. */
const pairFlops = ({ text }: ModelSpec, tokens: number): number =>
  2 * text.heads * text.headDim * tokens * tokens;

/** Step for step what `decoderLayerBackward` owes: nothing is computed before the first place that trains. */
function backwardFlops(
  linears: Readonly<Record<LayerLinear, Linear>>,
  spec: ModelSpec,
  tokens: number,
  { input: needInput }: { input: boolean },
): { input: number; weight: number } {
  const trains = (...names: LayerLinear[]) => names.some((name) => linears[name].trained > 0);
  const needQkv = needInput || trains('self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj');
  const needAttention = needQkv || trains('self_attn.o_proj');
  const needGateUp = needAttention || trains('mlp.gate_proj', 'mlp.up_proj');
  let input = needQkv ? 4 * pairFlops(spec, tokens) : 0;
  let weight = 0;
  const back = (name: LayerLinear, owed: boolean) => {
    const linear = linears[name];
    if (owed) input += throughFlops(linear, tokens);
    weight += gradientFlops(linear, tokens) + (owed ? 0 : downFlops(linear, tokens));
  };
  back('mlp.down_proj', needGateUp);
  if (needGateUp) for (const name of ['mlp.gate_proj', 'mlp.up_proj'] as const) back(name, needAttention);
  if (needAttention) back('self_attn.o_proj', needQkv);
  if (needQkv)
    for (const name of ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'] as const)
      back(name, needInput);
  return { input, weight };
}

/**
 * What a layer keeps for its backward on the fast backends, in float32: its input, both norms, queries, keys and values before and after
 * turning, attention's weights and output, both branches of the MLP and their product, the two sums, and each active segment's x Aᵀ.
 */
function keptBytes(
  linears: Readonly<Record<LayerLinear, Linear>>,
  { text }: ModelSpec,
  tokens: number,
): number {
  const { hiddenSize, mlpSize, heads, kvHeads, headDim, headNorms } = text;
  // Normed queries and keys, and one number for each head.
  const normed = headNorms ? (heads + kvHeads) * (headDim + 1) : 0;
  const segments = Object.values(linears).reduce((sum, { active }) => sum + active, 0);
  const perToken =
    6 * hiddenSize +
    3 * heads * headDim +
    4 * kvHeads * headDim +
    3 * mlpSize +
    heads * tokens +
    2 +
    normed +
    segments;
  return 4 * tokens * perToken;
}

const segmentBytes = (linear: Linear, which: 'kept' | 'trained'): number =>
  4 * linear[which] * (linear.inFeatures + linear.outFeatures);

/** Gradients, and beside them both moments of AdamW. */
function trainedBytes(linears: readonly Linear[]): { gradientBytes: number; optimizerBytes: number } {
  const gradientBytes = linears.reduce((sum, one) => sum + segmentBytes(one, 'trained'), 0);
  return { gradientBytes, optimizerBytes: 3 * gradientBytes };
}

/** Bytes of one row of a frozen matrix. */
function rowBytes(format: KeptFormat, columns: number): number {
  if (format === 'f32') return 4 * columns;
  const { blockValues, blockBytes, rowOverheadBytes } = compactFormats[format];
  return (columns / blockValues) * blockBytes + rowOverheadBytes;
}

/** Matrices in the format of the base, norms and biases in float32. */
function layerBytes(spec: ModelSpec, depth: number, format: KeptFormat): number {
  let bytes = 0;
  for (const [, shape] of layerTensors(spec, { start: depth, end: depth + 1 })) {
    const [rows = 1, columns] = shape;
    if (columns === undefined) bytes += 4 * rows;
    else bytes += rows * rowBytes(format, columns);
  }
  return bytes;
}

/** All that stands before the decoder layers: the embedding, the vision tower and the connector, in float32. */
function otherBytes(spec: ModelSpec): number {
  const { layerCount, prefix } = spec.text;
  const later = layerTensors(spec, { start: 0, end: layerCount });
  return [...modelTensors(spec)]
    .filter(([name]) => !later.has(name) && name !== 'lm_head.weight' && name !== `${prefix}norm.weight`)
    .reduce((sum, [, shape]) => sum + 4 * shape.reduce((a, b) => a * b, 1), 0);
}

type Vision = NonNullable<ModelSpec['vision']>;

/**
 * The tower of one image: patches, then per layer four square products, attention over all pairs, and the MLP; in LLaVA the frozen layer
 * before the connector too.
 */
function visionFlops(
  {
    tower,
    imageSizePixels,
    patchSizePixels,
    hiddenSize: d,
    mlpSize,
    layerCount,
    projector,
    tokenCount,
  }: Vision,
  textSize: number,
): number {
  const patches = (imageSizePixels / patchSizePixels) ** 2;
  const positions = tower === 'clip' ? patches + 1 : patches;
  const layer = 2 * positions * (4 * d * d + 2 * d * mlpSize) + 4 * positions * positions * d;
  return (
    2 * patches * 3 * patchSizePixels ** 2 * d +
    layerCount * layer +
    (projector ? 2 * tokenCount * d * textSize : 0)
  );
}
