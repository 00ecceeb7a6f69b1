/** LoRA segments as the tensors that a pass computes with. */
import type { LoraSegment } from '@contextlora/kernels';
import { dispose, type Tensor2D, tensor2d, tidy } from '@contextlora/kernels/tfjs';
import type { LayerMask, SegmentMatrices, Segments } from '@contextlora/lora';
import type { PeftAdapter } from '@contextlora/lora/files';

import { listProblems, ModelError } from '../model-error.js';
import { linearsOf, type ModelSpec } from '../spec/model-spec.js';

/** Active segments by the full name of their linear; a linear without an entry has only its base weight. */
export type SegmentsByLinear = ReadonlyMap<string, readonly LoraSegment[]>;

export interface UploadedSegments {
  readonly byLinear: SegmentsByLinear;
  dispose(): void;
}

/** A task's segment of one linear. */
export interface TaskSegment extends LoraSegment {
  readonly task: string;
}

/** The tensors of a segment in one linear. */
export type SegmentTensors = Pick<LoraSegment, 'a' | 'b'>;

/** Uploads A `[rank, in]` and B `[out, rank]`. */
export function uploadMatrices({ rank, a, b }: SegmentMatrices): SegmentTensors {
  // Where memory is short, no half of a pair is left behind.
  return tidy(() => ({
    a: tensor2d(a, [rank, a.length / rank]),
    b: tensor2d(b, [b.length / rank, rank]),
  }));
}

/**
 * Uploads the segments that the masks activate, in the masks' order, and no others. Tensors that `keptTensors` returns are used as they
 * are and not disposed.
 */
export function uploadSegments(
  masks: readonly LayerMask[],
  segments: Segments,
  {
    keptTensors = () => undefined,
  }: { keptTensors?: (task: string, matrices: SegmentMatrices) => SegmentTensors | undefined } = {},
): UploadedSegments & { readonly byLinear: ReadonlyMap<string, readonly TaskSegment[]> } {
  const uploaded: Tensor2D[] = [];
  const upload = (matrices: SegmentMatrices) => {
    const tensors = uploadMatrices(matrices);
    uploaded.push(tensors.a, tensors.b);
    return tensors;
  };
  const byLinear = new Map<string, readonly TaskSegment[]>();
  try {
    for (const { layer, active } of masks) {
      const loaded = active.flatMap(({ task, scale, train }): TaskSegment[] => {
        const matrices = segments[task]?.[layer];
        if (!matrices) return [];
        return [{ ...(keptTensors(task, matrices) ?? upload(matrices)), task, scale, train }];
      });
      if (loaded.length > 0) byLinear.set(layer, loaded);
    }
  } catch (error) {
    dispose(uploaded);
    throw error;
  }
  return {
    byLinear,
    dispose: () => {
      dispose(uploaded);
    },
  };
}

/**
 * Uploads the matrices of a PEFT adapter.
 *
 * @throws ModelError listing the adapter's linears that the model does not have, or has in another shape.
 */
export function uploadAdapter(spec: ModelSpec, { modules }: Pick<PeftAdapter, 'modules'>): UploadedSegments {
  const shapes = new Map(linearsOf(spec).map((shape) => [shape.name, shape]));
  const problems = Object.entries(modules).flatMap(([name, { inFeatures, outFeatures }]) => {
    const shape = shapes.get(name);
    if (!shape) return [`"${name}" is not in the model`];
    return shape.inFeatures === inFeatures && shape.outFeatures === outFeatures
      ? []
      : [
          `"${name}" is [${outFeatures}, ${inFeatures}], the model's is [${shape.outFeatures}, ${shape.inFeatures}]`,
        ];
  });
  if (problems.length > 0)
    throw new ModelError(
      'MODEL_MISMATCH',
      'uploadAdapter',
      listProblems('the adapter was made for another model:', problems),
    );
  const byLinear = new Map(
    Object.entries(modules).map(([name, module]) => [
      name,
      [{ ...uploadMatrices(module), scale: module.scale, train: false }],
    ]),
  );
  return {
    byLinear,
    dispose: () => {
      for (const segments of byLinear.values()) for (const { a, b } of segments) dispose([a, b]);
    },
  };
}
