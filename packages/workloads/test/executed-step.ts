/** One training step of a tiny model: as `workloadsOf` counts it, and as the kernels execute it. */
import { type Partition, type Roles } from '@contextlora/lora';
import { languageLoss, layerLinears, type LoadedModel } from '@contextlora/model';
import type { Workload } from '@contextlora/scheduler';
import * as tf from '@contextlora/kernels/tfjs';
import { workloadsOf } from '@contextlora/workloads';

export const tasks = [
  { id: 'weather', dependsOn: [] },
  { id: 'road', dependsOn: ['weather'] },
  { id: 'vehicle', dependsOn: [] },
];
/** Each task trains, its ancestors are frozen, the others masked. */
export const rolesOf: Readonly<Record<string, Roles>> = {
  weather: { weather: 'train', road: 'mask', vehicle: 'mask' },
  road: { weather: 'freeze', road: 'train', vehicle: 'mask' },
  vehicle: { weather: 'mask', road: 'mask', vehicle: 'train' },
};
export const [batch, tokens, answered] = [3, 12, 2] as const;

export function workloadOf(
  task: string,
  partition: Partition,
  { spec }: Pick<LoadedModel, 'spec'>,
  { images = 1, featuresKept = false } = {},
): Workload {
  return workloadsOf(spec, partition, [{ tasks: [task], roles: { [task]: rolesOf[task]! } }], {
    trainingOf: () => ({
      sample: { tokens, answered, images: spec.vision ? images : 0, featuresKept },
      samples: batch,
    }),
  })[0]!;
}

/** One pass forward and backward. What the decoder layers keep is everything alive when the head starts, minus what is needed anyway. */
export function runStep(
  model: LoadedModel,
  segments: Parameters<typeof languageLoss>[2]['segments'],
): { keptBytes: number } {
  const { vision } = model.spec;
  const imageToken = vision?.imageTokenId ?? 0;
  const tokenCount = vision?.tokenCount ?? 0;
  const row = (index: number) =>
    Array.from({ length: tokens }, (_, i) =>
      i < tokenCount ? imageToken : 10 + ((index * 31 + i * 7) % 150),
    );
  const wide = model.connector?.inFeatures ?? 0;
  const images = Array.from({ length: batch }, () =>
    vision ? new Float32Array(tokenCount * wide).fill(0.05) : undefined,
  );
  const rows = Array.from({ length: batch }, (_, i) => [
    i * tokens + tokens - 3,
    i * tokens + tokens - 2,
  ]).flat();
  const before = tf.memory().numBytes;
  let keptBytes = 0;
  const watched: LoadedModel = {
    ...model,
    kernels: {
      ...model.kernels,
      linearCrossEntropy(...args) {
        keptBytes = tf.memory().numBytes - before;
        return model.kernels.linearCrossEntropy(...args);
      },
    },
  };
  const { gradients } = languageLoss(
    watched,
    {
      batch,
      time: tokens,
      ids: Int32Array.from(Array.from({ length: batch }, (_, i) => row(i)).flat()),
      images,
    },
    {
      segments,
      head: {
        rows: Int32Array.from(rows),
        targets: Int32Array.from(rows, () => 11),
        weights: Float32Array.from(rows, () => 1 / rows.length),
      },
    },
  );
  for (const gradient of [...gradients.values()].flat()) if (gradient) tf.dispose([gradient.a, gradient.b]);
  const { hiddenSize } = model.spec.text;
  if (gradients.size === 0) throw new Error('nothing trained');
  // The connector's input and segments where it trains, the top layer's output, and the head's rows and their norm.
  return { keptBytes: keptBytes - restBytes(model, segments, hiddenSize) };
}

function restBytes(
  model: LoadedModel,
  segments: Parameters<typeof languageLoss>[2]['segments'],
  hidden: number,
): number {
  const picked = 2 * hidden * batch * answered * 4 + 4 * batch * answered;
  const top = 4 * hidden * batch * tokens;
  const { vision } = model.spec;
  const ofConnector = vision ? (segments.get(vision.connector.name) ?? []) : [];
  const connector =
    vision && ofConnector.some(({ train }) => train)
      ? 4 *
        batch *
        vision.tokenCount *
        ((model.connector?.inFeatures ?? 0) + ofConnector.reduce((sum, { a }) => sum + a.shape[0], 0))
      : 0;
  // tfjs counts twice what two shapes share: queries and keys before and after their norms.
  const { heads, kvHeads, headDim, headNorms } = model.spec.text;
  const layers = model.layers.filter((_, index) => index >= lowestTrained(model, segments)).length;
  const shared = headNorms ? 4 * layers * batch * tokens * 2 * (heads + kvHeads) * headDim : 0;
  return picked + top + connector + shared;
}

function lowestTrained(
  { spec, layers }: LoadedModel,
  segments: Parameters<typeof languageLoss>[2]['segments'],
): number {
  return layers.findIndex((_, index) =>
    layerLinears.some((name) =>
      segments.get(`${spec.text.prefix}layers.${index}.${name}`)?.some(({ train }) => train),
    ),
  );
}
