/** Views of tensors on the heap of the tfjs wasm backend, so that native code can read and write them without a copy. */
import * as tf from '@tensorflow/tfjs-core';

/** Members of the wasm backend that its public types leave out (tfjs-backend-wasm 4.22). */
interface WasmBackend {
  readonly wasm: { readonly HEAPU8: Uint8Array };
  readonly dataIdMap: { get(dataId: object): { readonly memoryOffset: number } };
  makeOutput(shape: readonly number[], dtype: 'float32'): tf.TensorInfo;
}

export interface WasmHeap {
  /** The values of a tensor where they lie. Valid until the heap grows: take views after the last allocation. */
  view(tensor: tf.TensorInfo): Float32Array;
  /** An uninitialised tensor; throws when the heap is exhausted. */
  allocate(shape: readonly number[]): tf.Tensor;
}

/** Opens the heap of the current backend, or says why it has none. */
export function openWasmHeap(): WasmHeap | string {
  if (tf.getBackend() !== 'wasm')
    return `the tfjs backend is "${tf.getBackend()}"; the fast ground works on the heap of the "wasm" backend`;
  const backend = tf.backend() as unknown as WasmBackend;
  if (typeof backend.makeOutput !== 'function')
    return 'this version of tfjs-backend-wasm keeps its heap elsewhere; 4.22.0 is known to work';
  const sizeOf = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1);
  return {
    view(tensor) {
      const { memoryOffset } = backend.dataIdMap.get(tensor.dataId);
      return new Float32Array(backend.wasm.HEAPU8.buffer, memoryOffset, sizeOf(tensor.shape));
    },
    allocate(shape) {
      const info = backend.makeOutput(shape, 'float32');
      if (backend.dataIdMap.get(info.dataId).memoryOffset === 0)
        throw new Error(
          `kernels/allocate: the wasm heap (4 GiB at most) has no room for [${shape.join(', ')}]; ` +
            `use smaller batches, dispose what is no longer needed, or split the model over more processes`,
        );
      return tf.engine().makeTensorFromTensorInfo(info);
    },
  };
}
