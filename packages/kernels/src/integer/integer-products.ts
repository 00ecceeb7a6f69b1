/** The exact products of bytes that a backend offers. */

/** A matrix of signed bytes in the layout of its backend. */
export interface IntegerOperand {
  dispose(): void;
}

export interface IntegerProducts {
  /** Which instructions compute them; all give the same integers. */
  readonly kind: IntegerKind;
  /** Takes B `[k, n]`, given row-major, or transposed as `[n, k]`; values from −127 to 127. */
  prepare(
    values: Int8Array,
    shape: { readonly k: number; readonly n: number; readonly transposed: boolean },
  ): IntegerOperand;
  /** c = (a − 128) B; a is bytes `[m, k]` and c 32-bit integers `[m, n]`, at addresses of the heap. */
  multiply(a: number, b: IntegerOperand, c: number, m: number): void;
  /** Where Bᵀ lies on the heap, if it does. */
  heapRows(b: IntegerOperand): number | undefined;
  dispose(): void;
}

/**
 * `signed` and `unsigned` are onnxruntime's products with signed bytes, and with unsigned ones where the processor would add signed pairs
 * in 16 bits that saturate; `wasm` widens to 16 bits.
 */
export type IntegerKind = 'signed' | 'unsigned' | 'wasm';
