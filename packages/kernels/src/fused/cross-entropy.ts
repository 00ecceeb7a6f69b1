/** Cross-entropy of the fast backends: exponentials in place, and the logits of the head one block of rows at a time. */
import { dispose, type Tensor2D } from '@contextlora/kernels/tfjs';

import type { Kernels } from '../kernels.js';
import { requireShape, requireTargets } from '../require-shape.js';
import type { FusedContext } from './context.js';

type CrossEntropy = Pick<Kernels, 'crossEntropy' | 'linearCrossEntropy'>;

/** The most logits that exist at a time; enough for the products to run at full speed. */
const logitBytes = 80 * 2 ** 20;

export function fusedCrossEntropy({ heap, module, products }: FusedContext): CrossEntropy {
  /**
   * Overwrites logits with their gradient and returns the weighted loss.
   *
   * loss = weight · (log Σ e^(x − max) + max − x_target); d/dx_j = weight · (e^(x_j − max) / Σ − [j = target])
   */
  const inPlace = (logits: Tensor2D, targets: Int32Array, weights: Float32Array): number => {
    const [rows, columns] = logits.shape;
    const values = heap.view(logits);
    const address = heap.address(logits);
    let loss = 0;
    for (let row = 0; row < rows; row++) {
      const start = row * columns;
      const at = address + start * 4;
      const weight = weights[row]!;
      if (weight === 0) {
        values.fill(0, start, start + columns);
        continue;
      }
      const target = start + targets[row]!;
      const highest = module.rowMaximum(at, columns);
      const right = values[target]!;
      const sum = module.expRow(at, columns, highest);
      loss += weight * (Math.log(sum) + highest - right);
      module.scaleRow(at, columns, weight / sum);
      values[target]! -= weight;
    }
    return loss;
  };

  return {
    crossEntropy(logits, targets, weights) {
      requireShape('crossEntropy', 'logits', logits, [null, null]);
      requireTargets('crossEntropy', logits.shape, { targets, weights });
      const dLogits = heap.allocate(logits.shape) as Tensor2D;
      heap.view(dLogits).set(heap.view(logits));
      return { loss: inPlace(dLogits, targets, weights), dLogits };
    },

    linearCrossEntropy(x, weight, targets, weights, { input }) {
      requireShape('linearCrossEntropy', 'x', x, [null, weight.inFeatures]);
      const [rows, features] = x.shape;
      requireTargets('linearCrossEntropy', [rows, weight.outFeatures], { targets, weights });
      const dx = input ? (heap.allocate(x.shape) as Tensor2D) : null;
      const most = Math.max(1, Math.floor(logitBytes / 4 / weight.outFeatures));
      // Blocks of about equal size, because a short last one would be slow.
      const block = Math.ceil(rows / Math.ceil(rows / most));
      let loss = 0;
      for (let start = 0; start < rows; start += block) {
        const end = Math.min(rows, start + block);
        const part = heap.allocate([end - start, features]) as Tensor2D;
        heap.view(part).set(heap.view(x).subarray(start * features, end * features));
        const { y: logits } = products.linear(part, weight, []);
        loss += inPlace(logits, targets.subarray(start, end), weights.subarray(start, end));
        if (dx) {
          const { dx: dPart } = products.linearBackward(logits, { x: part, hidden: [] }, weight, [], {
            input: true,
          });
          heap.view(dx).set(heap.view(dPart!), start * features);
          dispose(dPart!);
        }
        dispose([part, logits]);
      }
      return { loss, dx };
    },
  };
}
