/** Frozen segments as tensors that stay for a whole phase. */
import { dispose } from '@contextlora/kernels/tfjs';
import type { SegmentMatrices } from '@contextlora/lora';

import { type SegmentTensors, uploadMatrices } from '../pass/segments.js';

export interface FrozenTensors {
  /** The tensors of a segment, uploaded at their first use; undefined if the segment changes in this phase. */
  tensorsOf(task: string, matrices: SegmentMatrices): SegmentTensors | undefined;
  /** Frees the tensors; a later use uploads them again. */
  dispose(): void;
}

/** Opens the store of a phase in which the segments of the `changing` tasks are trained. */
export function openFrozenTensors(changing: ReadonlySet<string>): FrozenTensors {
  const uploaded = new Map<SegmentMatrices, SegmentTensors>();
  return {
    tensorsOf(task, matrices) {
      if (changing.has(task)) return undefined;
      const tensors = uploaded.get(matrices) ?? uploadMatrices(matrices);
      uploaded.set(matrices, tensors);
      return tensors;
    },
    dispose() {
      for (const { a, b } of uploaded.values()) dispose([a, b]);
      uploaded.clear();
    },
  };
}
