/**
 * Faster matrix products for any tfjs model on the wasm backend.
 *
 * That backend multiplies quickly only without transposes and batches, and the gradient of every product has transposes.
 */
import * as tf from '@contextlora/kernels/tfjs';

import type { BatchedProduct } from './fused/products.js';
import { openBackend, type OpenBackendOptions } from './open-backend.js';

export interface Acceleration {
  /** The backend that computes the products now. */
  readonly backend: 'wasm' | 'onnx';
  /** Reinstalls the kernel of tfjs. */
  restore(): void;
}

/**
 * Replaces the wasm backend's kernel for `tf.matMul`, and so for its gradient; selects and starts that backend.
 *
 * @throws KernelsError when `onnx` is requested and not available, with the reason.
 */
export async function accelerateTfjs(options: OpenBackendOptions = {}): Promise<Acceleration> {
  const {
    backend,
    parts: { heap, products, scratch },
  } = await openBackend('accelerateTfjs', options);
  const original = tf.getKernel('BatchMatMul', 'wasm');
  tf.unregisterKernel('BatchMatMul', 'wasm');
  tf.registerKernel({
    ...original,
    kernelFunc(call) {
      const planned = planProduct(call as unknown as MatMulCall);
      // Other ways of broadcasting batches are rare; the original kernel handles them all.
      if (!planned) return original.kernelFunc(call);
      const { dataId, dtype } = products.batched(planned.product, heap.allocateInfo);
      return { dataId, dtype, shape: planned.shape };
    },
  });
  return {
    backend,
    restore() {
      tf.unregisterKernel('BatchMatMul', 'wasm');
      tf.registerKernel(original);
      products.dispose();
      scratch.dispose();
    },
  };
}

interface MatMulCall {
  readonly inputs: { readonly a: tf.TensorInfo; readonly b: tf.TensorInfo };
  readonly attrs: { readonly transposeA: boolean; readonly transposeB: boolean };
}

/** The product of a call and the shape of its result; undefined where the batches differ and cannot be folded into rows. */
function planProduct({
  inputs: { a, b },
  attrs: { transposeA, transposeB },
}: MatMulCall): { product: BatchedProduct; shape: number[] } | undefined {
  const [outerA, outerB] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
  const [first = 0, second = 0] = a.shape.slice(-2);
  const [third = 0, fourth = 0] = b.shape.slice(-2);
  const [rows, k] = transposeA ? [second, first] : [first, second];
  const n = transposeB ? third : fourth;
  const count = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);
  const shape = [...outerA, rows, n];
  const sides = { a, b, n, k, transposeA, transposeB };
  if (a.dtype !== 'float32' || b.dtype !== 'float32' || count(a.shape) * count(b.shape) === 0)
    return undefined;
  // One matrix b for all of a: the batch only adds rows.
  if (count(outerB) === 1 && outerB.length <= outerA.length && !transposeA)
    return { product: { ...sides, batch: 1, m: count(outerA) * rows }, shape };
  if (outerA.join() !== outerB.join()) return undefined;
  return { product: { ...sides, batch: count(outerA), m: rows }, shape };
}
