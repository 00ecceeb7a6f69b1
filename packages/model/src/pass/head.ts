/** The final norm and the output matrix for the requested rows and columns. */
import type { LinearWeight } from '@contextlora/kernels';
import { dispose, type Tensor2D } from '@contextlora/kernels/tfjs';

import type { LoadedModel } from '../checkpoint/load-model.js';
import { matrixRows } from './matrix-rows.js';

/** The requested logits: these rows, over these columns of the vocabulary (all when absent). */
export interface HeadRequest {
  /** Indices into `[batch · time]`. */
  readonly rows: Int32Array;
  readonly columns?: readonly number[];
}

/** What computes logits. */
export type HeadWeights = Pick<LoadedModel, 'spec' | 'kernels' | 'finalNorm' | 'head' | 'headWeight'>;

interface Head {
  /** The final norm of the requested rows. */
  readonly normed: Tensor2D;
  /** The output matrix of the requested columns. */
  readonly weight: LinearWeight;
  /** The gradient of `normed` → that of the top layer's output. */
  backward(dNormed: Tensor2D): Tensor2D;
  dispose(): void;
}

/** Opens the head over the top layer's output. */
export function openHead(
  { kernels, finalNorm, spec, head, headWeight }: HeadWeights,
  top: Tensor2D,
  { rows, columns }: HeadRequest,
): Head {
  const { hiddenSize, rmsEpsilon, vocabularySize } = spec.text;
  const weight = columns
    ? kernels.prepareLinear(
        matrixRows(head, columns, [vocabularySize, hiddenSize]),
        columns.length,
        hiddenSize,
      )
    : headWeight;
  const picked = kernels.gatherRows(top, rows);
  const norm = kernels.rmsNorm(picked, finalNorm, rmsEpsilon);
  return {
    normed: norm.y,
    weight,
    backward(dNormed) {
      const dPicked = kernels.rmsNormBackward(dNormed, norm.saved, finalNorm);
      const dTop = kernels.gatherRowsBackward(dPicked, rows, top.shape[0]);
      dispose(dPicked);
      return dTop;
    },
    dispose() {
      norm.saved.dispose();
      dispose([norm.y, picked]);
      if (columns) weight.dispose();
    },
  };
}
