/** The losses of a pass over the top layer's output, and their gradient. */
import type { LossValue } from '@contextlora/kernels';
import { dispose, type Tensor2D } from '@contextlora/kernels/tfjs';

import { type HeadRequest, type HeadWeights, openHead } from './head.js';

export interface LossRequest extends HeadRequest {
  /** For each requested row, the index of the right column. */
  readonly targets: Int32Array;
  /** For each requested row; usually 1 / number of rows. */
  readonly weights: Float32Array;
}

/** The summed losses and, with `input`, the gradient of the top layer's output. */
export function headLosses(
  model: HeadWeights,
  top: Tensor2D,
  { heads, input }: { heads: readonly LossRequest[]; input: boolean },
): { loss: LossValue; dTop: Tensor2D | null } {
  const losses: LossValue[] = [];
  let dTop: Tensor2D | null = null;
  for (const head of heads) {
    const next = headLoss(model, top, { head, input });
    losses.push(next.loss);
    const before: Tensor2D | null = dTop;
    dTop = before && next.dTop ? model.kernels.add(before, next.dTop) : next.dTop;
    if (before && next.dTop) dispose([before, next.dTop]);
  }
  return { loss: sumOf(losses), dTop };
}

/** A number if all are; on WebGPU a promise. */
function sumOf(losses: readonly LossValue[]): LossValue {
  const known = losses.filter((loss) => typeof loss === 'number');
  if (known.length === losses.length) return known.reduce((total, loss) => total + loss, 0);
  return losses.reduce<Promise<number>>(
    async (total, loss) => (await total) + (await loss),
    Promise.resolve(0),
  );
}

/** The loss over the requested rows and, with `input`, the gradient of the top layer's output. */
function headLoss(
  model: HeadWeights,
  top: Tensor2D,
  { head, input }: { head: LossRequest; input: boolean },
): { loss: LossValue; dTop: Tensor2D | null } {
  const opened = openHead(model, top, head);
  const { loss, dx } = model.kernels.linearCrossEntropy(
    opened.normed,
    opened.weight,
    head.targets,
    head.weights,
    { input },
  );
  const dTop = dx && opened.backward(dx);
  opened.dispose();
  if (dx) dispose(dx);
  return { loss, dTop };
}
