/** What a caller can do something about; defects of this package are plain errors that start with `internal:`. */
export type KernelsErrorCode =
  /** An operand is disposed, or has another type, shape or length than the operation takes. */
  | 'KERNELS_OPERAND_MISMATCH'
  /** An index, a target, a position, a range of rows or a count lies outside what exists. */
  | 'KERNELS_OUT_OF_RANGE'
  /** A weight cannot be kept in the requested format. */
  | 'KERNELS_FORMAT_UNSUITABLE'
  /** A segment for some rows only has no backward. */
  | 'KERNELS_NO_BACKWARD'
  /** The wasm heap has no room left. */
  | 'KERNELS_HEAP_FULL'
  /** The process may not reserve the address space of a wasm memory. */
  | 'KERNELS_MEMORY_REFUSED'
  /** The requested backend does not start on this machine. */
  | 'KERNELS_BACKEND_UNAVAILABLE'
  /** onnxruntime refused a graph or its tensors; the message is its own. */
  | 'KERNELS_RUNTIME_FAILED';

/** An error whose message reads `kernels/where: what`. */
export class KernelsError extends Error {
  override readonly name = 'KernelsError';
  readonly code: KernelsErrorCode;

  constructor(code: KernelsErrorCode, where: string, what: string, options?: ErrorOptions) {
    super(`kernels/${where}: ${what}`, options);
    this.code = code;
  }
}
