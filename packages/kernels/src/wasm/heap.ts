/** Access to tensors on the heap of the tfjs wasm backend, so that other code can read and write them without a copy. */
import * as tf from '@contextlora/kernels/tfjs';

import { KernelsError } from '../kernels-error.js';
import { Memory, type WasmMemory } from './web-assembly.js';

/** Members of the wasm backend that its public types omit (tfjs-backend-wasm 4.22). */
interface WasmBackend {
  readonly wasm: {
    readonly HEAPU8: Uint8Array;
    readonly asm: { readonly memory: WasmMemory };
    _malloc(bytes: number): number;
    _free(address: number): void;
  };
  readonly dataIdMap: { get(dataId: object): { readonly memoryOffset: number } | undefined };
  makeOutput(shape: readonly number[], dtype: 'float32'): tf.TensorInfo;
}

export interface WasmHeap {
  /** The memory itself, for a second wasm module. */
  readonly memory: WasmMemory;
  /** Byte address of a tensor's values; throws if the tensor is disposed. */
  readonly address: (tensor: tf.TensorInfo) => number;
  /** The values of a tensor in place. Valid until the heap grows: take views after the last allocation. */
  view(tensor: tf.TensorInfo): Float32Array;
  /** `length` floats at an address; valid until the heap grows. */
  floatsAt(address: number, length: number): Float32Array;
  /** An uninitialised tensor; throws if the heap is full. */
  readonly allocate: (shape: readonly number[]) => tf.Tensor;
  /** The same for kernels of tfjs, whose engine makes the tensor itself. */
  readonly allocateInfo: (shape: readonly number[]) => tf.TensorInfo;
  /** Memory outside any tensor; throws if the heap is full. */
  reserve(bytes: number): number;
  release(address: number): void;
}

/** More than the backend needs to register one tensor. */
const bookkeepingBytes = 4096;

/** Opens the heap of the current backend, or says why it has none. */
export function openWasmHeap(): WasmHeap | string {
  if (tf.getBackend() !== 'wasm')
    return `the tfjs backend is "${tf.getBackend()}"; the fast kernels work on the heap of its "wasm" backend`;
  const backend = tf.backend() as unknown as WasmBackend;
  const { wasm } = backend as { readonly wasm?: Record<string, unknown> };
  const known = 'makeOutput' in backend && wasm && '_malloc' in wasm && '_free' in wasm;
  // Other builds of the runtime might have another kind of memory here.
  if (!known || !(backend.wasm.asm.memory instanceof Memory))
    return 'this version of tfjs-backend-wasm keeps its heap elsewhere; 4.22.0 is known to work';
  const sizeOf = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1);
  const addressOf = ({ dataId }: tf.TensorInfo) => {
    let place: { readonly memoryOffset: number } | undefined;
    try {
      // This moves a tensor here from another backend; it throws for one that is disposed.
      place = backend.dataIdMap.get(dataId);
    } catch (cause) {
      throw new KernelsError(
        'KERNELS_OPERAND_MISMATCH',
        'heap',
        'a tensor is disposed; keep the operands of an operation until its backward is done',
        { cause },
      );
    }
    if (!place) throw new Error('internal: a tensor has no place on the wasm heap');
    return place.memoryOffset;
  };
  const floatsAt = (address: number, length: number) =>
    new Float32Array(backend.wasm.HEAPU8.buffer, address, length);
  const exhausted = (what: string) =>
    new KernelsError(
      'KERNELS_HEAP_FULL',
      'allocate',
      `the wasm heap (4 GiB at most) has no room for ${what}; ` +
        `use smaller batches, dispose tensors that are no longer needed, or split the model over more processes`,
    );
  /** The address of new memory, or 0 if there is no room. */
  const take = (bytes: number) => {
    if (bytes >= 2 ** 32) return 0;
    const address = backend.wasm._malloc(bytes) >>> 0;
    // Just below 4 GiB the allocator returns blocks that end outside the memory; such a block is discarded.
    return address + bytes > backend.wasm.asm.memory.buffer.byteLength ? 0 : address;
  };
  const allocateInfo = (shape: readonly number[]) => {
    const size = sizeOf(shape);
    // The backend does not check the result of its allocator, and its bookkeeping aborts if it finds no room.
    const probe = take(size * 4 + bookkeepingBytes);
    if (probe === 0) throw exhausted(`[${shape.join(', ')}]`);
    backend.wasm._free(probe);
    return backend.makeOutput(shape, 'float32');
  };
  return {
    memory: backend.wasm.asm.memory,
    address: addressOf,
    view: (tensor) => floatsAt(addressOf(tensor), sizeOf(tensor.shape)),
    floatsAt,
    allocateInfo,
    allocate: (shape) => tf.engine().makeTensorFromTensorInfo(allocateInfo(shape)),
    reserve(bytes) {
      const address = take(bytes);
      if (address === 0) throw exhausted(`${bytes} bytes`);
      return address;
    },
    release: (address) => {
      backend.wasm._free(address);
    },
  };
}
