/**
 * Exact products of bytes by onnxruntime.
 *
 * Processors without dot-product instructions add pairs of unsigned times signed bytes in 16 bits, which saturate (onnxruntime's
 * documentation of quantisation: "S8S8 on x86-64 machines with AVX2 and AVX512 extensions"). They are found by a product of the largest bytes, and get unsigned ones.
 */
import type { IntegerOperand, IntegerProducts } from '../integer/integer-products.js';
import { transposeBytes } from '../integer/transpose-bytes.js';
import type { WasmHeap } from '../wasm/heap.js';
import type { OnnxRuntime, OnnxSession } from './library.js';
import type { OnnxGraph } from './model.js';

interface OnnxOperand extends IntegerOperand {
  readonly bytes: Int8Array | Uint8Array;
  readonly k: number;
  readonly n: number;
}

type Kind = 'signed' | 'unsigned';

/** c = (a − 128) b, or (a − 128) (b − 128) if b is unsigned. Inputs: a, b. Output: c. */
const productGraph = (kind: Kind): OnnxGraph => ({
  nodes: [
    {
      op: 'MatMulInteger',
      inputs: kind === 'signed' ? ['a', 'b', 'zero'] : ['a', 'b', 'zero', 'zero'],
      outputs: ['c'],
    },
  ],
  inputs: ['a', 'b'],
  outputs: ['c'],
  types: { a: 'uint8', b: kind === 'signed' ? 'int8' : 'uint8', c: 'int32' },
  constants: { zero: { values: Uint8Array.of(128), shape: [] } },
});

const operandOf = (kind: Kind, values: Int8Array): Int8Array | Uint8Array =>
  kind === 'signed' ? values : Uint8Array.from(values, (value) => value + 128);

/** Opens products over a loaded runtime, or returns null if none of its products is exact on this processor. */
export function openOnnxIntegers(
  runtime: OnnxRuntime,
  heap: WasmHeap,
  { threads }: { readonly threads: number },
): IntegerProducts | null {
  const exact = openExact(runtime, threads);
  return exact && integersOver(exact.session, heap, exact.kind);
}

/** Which products of bytes a runtime computes exactly on this processor: with signed weights, else with unsigned ones, else null. */
export function integerKindOf(runtime: OnnxRuntime): Kind | null {
  const exact = openExact(runtime, 1);
  exact?.session.dispose();
  return exact?.kind ?? null;
}

function openExact(runtime: OnnxRuntime, threads: number): { session: OnnxSession; kind: Kind } | null {
  for (const kind of ['signed', 'unsigned'] as const) {
    const session = runtime.load(productGraph(kind), threads);
    if (isExact(session, kind)) return { session, kind };
    session.dispose();
  }
  return null;
}

function integersOver(session: OnnxSession, heap: WasmHeap, kind: Kind): IntegerProducts {
  return {
    kind,
    prepare(values, { k, n, transposed }): OnnxOperand {
      const bytes = operandOf(kind, transposed ? transposeBytes(values, n, k) : values);
      return { bytes, k, n, dispose: () => undefined };
    },
    multiply(a, b, c, m) {
      const { bytes, k, n } = b as OnnxOperand;
      const { buffer } = heap.memory;
      session.run(
        {
          a: { values: new Uint8Array(buffer, a, m * k), shape: [m, k] },
          b: { values: bytes, shape: [k, n] },
        },
        { c: { values: new Int32Array(buffer, c, m * n), shape: [m, n] } },
      );
    },
    heapRows: () => undefined,
    dispose() {
      session.dispose();
    },
  };
}

/** Multiplies the largest bytes, whose pairs saturate in any arithmetic that can, in sizes for every path of a kernel. */
function isExact(session: OnnxSession, kind: Kind): boolean {
  for (const [m, k, n] of [
    [1, 64, 16],
    [5, 67, 35],
    [37, 130, 66],
  ] as const) {
    const signs = (length: number, row: number) => (i: number) =>
      Math.floor(i / length) % row === 0 || i % 5 !== 0 ? 127 : -127;
    const a = Int8Array.from({ length: m * k }, (_, i) => signs(k, 2)(i));
    const b = Int8Array.from({ length: k * n }, (_, i) => signs(n, 3)(i));
    const c = new Int32Array(m * n);
    session.run(
      {
        a: { values: Uint8Array.from(a, (value) => value + 128), shape: [m, k] },
        b: { values: operandOf(kind, b), shape: [k, n] },
      },
      { c: { values: c, shape: [m, n] } },
    );
    for (let row = 0; row < m; row++)
      for (let column = 0; column < n; column++) {
        let sum = 0;
        for (let i = 0; i < k; i++) sum += a[row * k + i]! * b[i * n + column]!;
        if (c[row * n + column] !== sum) return false;
      }
  }
  return true;
}
