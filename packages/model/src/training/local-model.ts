/**
 * A model in this process that is trained phase by phase: the trainer's `TrainableModel` over a loaded base and a partition.
 *
 * The base never changes. Segments live in plain arrays; those that train are views of one flat buffer with moments beside it, made
 * at the start of a phase and gone after it, so no optimizer state exists for anything else.
 */
import {
  decodeSafetensors,
  encodeSafetensors,
  type FileTensor,
  float32Tensor,
  hashSegment,
  masksFor,
  type Partition,
  type Role,
  type Roles,
  type Segment,
  type Segments,
  toFloat32,
} from '@contextlora/lora';
import { dispose } from '@tensorflow/tfjs-core';

import { activateSegments, type ActiveSegments } from '../pass/active-segments.js';
import type { ModelExample } from '../text/example.js';
import { type FlatParameters, flattenSegments } from './flat-parameters.js';
import { type ImageFeatures, openImageFeatures } from '../images/features.js';
import { languageLoss, type GradientsByLayer, type LossRequest } from '../pass/language-pass.js';
import type { LoadedModel } from '../checkpoint/load-model.js';
import { type AnswerPrediction, imagesOf, labelTokens, predictAnswers } from '../answer/predict-answers.js';
import { answerIds, batchOf, promptIds } from '../text/token-rows.js';

export interface OptimizerOptions {
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  readonly weightDecay?: number;
  /** Largest global norm of the trained segment's gradient; Infinity for none. */
  readonly clipNorm?: number;
}

export interface LocalModelOptions {
  readonly partition: Partition;
  readonly segments: Segments;
  readonly optimizer?: OptimizerOptions;
  /** Features that several models over one base may share. */
  readonly features?: ImageFeatures;
  /** Prompts answered at once. */
  readonly predictBatchSize?: number;
}

/** Structurally the trainer's `TrainableModel<ModelExample>`. */
export interface LocalModel extends AsyncDisposable {
  setPhase(phase: {
    readonly tasks: readonly string[];
    readonly roles: Readonly<Record<string, Roles>>;
  }): Promise<void>;
  step(
    task: string,
    microBatches: readonly (readonly ModelExample[])[],
    options: { readonly learningRate: number },
  ): Promise<{ loss: number; tokens: number; gradientNorm: number }>;
  predict(
    task: string,
    examples: readonly ModelExample[],
    roles?: Roles,
  ): Promise<readonly AnswerPrediction[]>;
  hashSegment(task: string): Promise<string>;
  saveState(): Promise<Readonly<Record<string, Uint8Array>>>;
  restoreState(files: Readonly<Record<string, Uint8Array>>): Promise<void>;
  readonly features: ImageFeatures;
  /** A copy of all segments as they are now. */
  segments(): Segments;
}

interface TaskInTraining {
  readonly roles: Roles;
  readonly flat: FlatParameters;
  step: number;
}

/** Makes a trainable model over a loaded base; the base may be shared by several. */
export function createLocalModel(
  model: LoadedModel,
  {
    partition,
    segments: initial,
    optimizer: { beta1 = 0.9, beta2 = 0.99, epsilon = 1e-8, weightDecay = 0, clipNorm = 1 } = {},
    features = openImageFeatures(model),
    predictBatchSize = 64,
  }: LocalModelOptions,
): LocalModel {
  let segments = copySegments(initial);
  const training = new Map<string, TaskInTraining>();

  const trainingOf = (task: string) => {
    const state = training.get(task);
    if (!state)
      throw new Error(
        `model/step: task "${task}" does not train in this phase; setPhase names those that do`,
      );
    return state;
  };

  return {
    features,

    setPhase({ tasks, roles }) {
      training.clear();
      for (const task of tasks) {
        const own = roles[task] ?? {};
        const flat = flattenSegments(segments, tasksWith(own, 'train'));
        segments = { ...segments, ...flat.segments };
        training.set(task, { roles: own, flat, step: 0 });
      }
      return Promise.resolve();
    },

    async step(task, microBatches, { learningRate }) {
      const state = trainingOf(task);
      const { flat } = state;
      const masks = masksFor(partition, state.roles);
      const active = activateSegments(masks, segments);
      const count = microBatches.reduce((sum, batch) => sum + batch.length, 0);
      flat.gradients.fill(0);
      let isFirst = true;
      let loss = 0;
      let tokens = 0;
      for (const examples of microBatches) {
        const images = await imagesOf(examples, features);
        for (const group of lossGroups(model, examples, images)) {
          tokens += group.tokenCount;
          const share = group.examples / count;
          const weights = group.head.weights.map((weight) => weight * share);
          const result = languageLoss(model, group.batch, {
            head: { ...group.head, weights },
            segments: active.byLayer,
          });
          loss += await result.loss;
          await addGradients(flat, active, result.gradients, { first: isFirst });
          isFirst = false;
        }
      }
      active.dispose();
      const gradientNorm = euclideanNorm(flat.gradients);
      state.step += 1;
      model.kernels.adamW(flat.parameters, flat.gradients, flat.firstMoment, flat.secondMoment, {
        learningRate,
        beta1,
        beta2,
        epsilon,
        weightDecay,
        step: state.step,
        // As torch.nn.utils.clip_grad_norm_: factor min(1, limit / (norm + 1e-6)).
        gradientScale: Math.min(1, clipNorm / (gradientNorm + 1e-6)),
      });
      return { loss, tokens, gradientNorm };
    },

    async predict(_task, examples, roles) {
      const active = roles ? activateSegments(masksFor(partition, roles), segments) : undefined;
      try {
        return await predictAnswers(model, examples, {
          features,
          segments: active?.byLayer ?? new Map(),
          batchSize: predictBatchSize,
        });
      } finally {
        active?.dispose();
      }
    },

    hashSegment(task) {
      const segment = segments[task];
      if (!segment) throw new Error(`model/hashSegment: there is no segment of task "${task}"`);
      return Promise.resolve(hashSegment(segment));
    },

    saveState() {
      const tensors = Object.entries(segments).flatMap(([task, segment]) => segmentTensors(task, segment));
      const files: Record<string, Uint8Array> = { 'segments.safetensors': encodeSafetensors(tensors) };
      for (const [task, { flat, step }] of training) {
        const moment = (values: Float32Array) => float32Tensor([values.length], values);
        files[`optimizer-${task}.safetensors`] = encodeSafetensors(
          [
            ['first', moment(flat.firstMoment)],
            ['second', moment(flat.secondMoment)],
          ],
          { step: String(step) },
        );
      }
      return Promise.resolve(files);
    },

    restoreState(files) {
      const saved = files['segments.safetensors'];
      if (!saved) throw new Error('model/restoreState: the state has no segments.safetensors');
      const { tensors } = decodeSafetensors(saved, 'segments.safetensors');
      for (const [task, segment] of Object.entries(segments))
        for (const [layer, matrices] of Object.entries(segment))
          for (const side of ['a', 'b'] as const) {
            const tensor = tensors.get(`${task}/${layer}/${side}`);
            const values = tensor && toFloat32(tensor);
            if (values?.length !== matrices[side].length)
              throw new Error(
                `model/restoreState: the state does not fit the partition: ${task}/${layer}/${side}; was the rank changed?`,
              );
            matrices[side].set(values);
          }
      for (const [task, state] of training) {
        const file = files[`optimizer-${task}.safetensors`];
        if (!file) continue;
        const { tensors: moments, metadata } = decodeSafetensors(file, `optimizer-${task}.safetensors`);
        for (const [name, target] of [
          ['first', state.flat.firstMoment],
          ['second', state.flat.secondMoment],
        ] as const) {
          const tensor = moments.get(name);
          if (tensor) target.set(toFloat32(tensor));
        }
        state.step = Number(metadata['step'] ?? 0);
      }
      return Promise.resolve();
    },

    segments: () => copySegments(segments),

    [Symbol.asyncDispose]() {
      training.clear();
      return Promise.resolve();
    },
  };
}

interface LossGroup {
  readonly batch: ReturnType<typeof batchOf>;
  readonly head: LossRequest;
  readonly examples: number;
  readonly tokenCount: number;
}

/**
 * Examples that share a head: those whose labels are single tokens are scored over their labels alone (the measured best), the
 * others over the whole vocabulary at every token of the answer and the end token.
 */
function lossGroups(
  model: LoadedModel,
  examples: readonly ModelExample[],
  images: readonly (Float32Array | undefined)[],
): LossGroup[] {
  const groups = new Map<string, number[]>();
  for (const [i, { labels, answer }] of examples.entries()) {
    const single = labels && labelTokens(model, labels);
    if (labels && !labels.includes(answer))
      throw new Error(`model/step: answer "${answer}" is not among the labels ${labels.join(', ')}`);
    const key = single ? JSON.stringify(labels) : '';
    groups.set(key, [...(groups.get(key) ?? []), i]);
  }
  return [...groups].map(([key, members]) => {
    const labels = key === '' ? undefined : (JSON.parse(key) as string[]);
    const columns = labels && labelTokens(model, labels);
    const prompts = members.map((i) => promptIds(model, examples[i]!));
    const answers = members.map((i) => {
      const { answer } = examples[i]!;
      if (labels) return [labels.indexOf(answer)];
      const end = model.tokenizer.endId;
      return [...answerIds(model, answer), ...(end === undefined ? [] : [end])];
    });
    const rows = prompts.map((prompt, i) =>
      labels ? prompt : [...prompt, ...(answers[i] ?? []).slice(0, -1)],
    );
    const batch = batchOf(
      model,
      rows,
      members.map((i) => images[i]),
    );
    const wanted = answers.flatMap((ids, i) =>
      ids.map((target, j) => ({
        row: i * batch.time + (prompts[i]?.length ?? 0) - 1 + j,
        target,
        weight: 1 / members.length / ids.length,
      })),
    );
    return {
      batch,
      head: {
        rows: Int32Array.from(wanted, ({ row }) => row),
        targets: Int32Array.from(wanted, ({ target }) => target),
        weights: Float32Array.from(wanted, ({ weight }) => weight),
        ...(columns ? { columns } : {}),
      },
      examples: members.length,
      tokenCount: rows.reduce((sum, row) => sum + row.length, 0),
    };
  });
}

/** Adds what a backward computed to the flat gradient, and frees it. */
async function addGradients(
  flat: FlatParameters,
  active: ActiveSegments,
  gradients: GradientsByLayer,
  { first }: { first: boolean },
): Promise<void> {
  const matrices = [...gradients].flatMap(([layer, of]) => {
    const tasks = active.tasks.get(layer) ?? [];
    return of.flatMap((gradient, i) =>
      gradient
        ? (['a', 'b'] as const).map((side) => ({
            gradient: gradient[side],
            offset: flat.offsetOf(tasks[i] ?? '', layer, side),
          }))
        : [],
    );
  });
  // All at once: a graphics card is waited for once.
  const read = await Promise.all(matrices.map(({ gradient }) => gradient.data()));
  for (const [i, { gradient, offset }] of matrices.entries()) {
    const values = read[i]!;
    const target = flat.gradients.subarray(offset, offset + values.length);
    // A copy is many times faster than adding to zeros.
    if (first) target.set(values);
    else for (let j = 0; j < values.length; j++) target[j]! += values[j]!;
    dispose(gradient);
  }
}

function euclideanNorm(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return Math.sqrt(sum);
}

const tasksWith = (roles: Roles, role: Role) => Object.keys(roles).filter((task) => roles[task] === role);

function copySegments(segments: Segments): Segments {
  return Object.fromEntries(
    Object.entries(segments).map(([task, segment]): [string, Segment] => [
      task,
      Object.fromEntries(
        Object.entries(segment).map(([layer, { rank, a, b }]) => [
          layer,
          { rank, a: a.slice(), b: b.slice() },
        ]),
      ),
    ]),
  );
}

function segmentTensors(task: string, segment: Segment): [string, FileTensor][] {
  return Object.entries(segment).flatMap(([layer, { rank, a, b }]): [string, FileTensor][] => [
    [`${task}/${layer}/a`, float32Tensor([rank, a.length / rank], a)],
    [`${task}/${layer}/b`, float32Tensor([b.length / rank, rank], b)],
  ]);
}
