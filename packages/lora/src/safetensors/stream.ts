/** The safetensors format written tensor by tensor, for files that are larger than memory. */
import { encodeHeader } from './safetensors.js';
import { bytesPerElement, type Dtype } from './tensor.js';

/** A tensor whose bytes are made when it is its turn. */
export interface TensorSource {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Little-endian, row-major. */
  readonly bytes: () => Promise<Uint8Array>;
}

/** Yields the parts of a file in order; equal input gives the bytes that `encodeSafetensors` gives. */
export async function* streamSafetensors(
  tensors: ReadonlyMap<string, TensorSource>,
  metadata: Readonly<Record<string, string>> = {},
): AsyncGenerator<Uint8Array> {
  const sorted = [...tensors].sort(([p], [q]) => (p < q ? -1 : 1));
  const sizeOf = ({ dtype, shape }: TensorSource) =>
    shape.reduce((product, n) => product * n, bytesPerElement[dtype]);
  yield encodeHeader(
    sorted.map(([name, tensor]) => ({ name, ...tensor, byteLength: sizeOf(tensor) })),
    metadata,
  );
  for (const [name, tensor] of sorted) {
    const bytes = await tensor.bytes();
    if (bytes.length !== sizeOf(tensor))
      throw new Error(`internal: tensor "${name}" has ${bytes.length} bytes, not ${sizeOf(tensor)}`);
    yield bytes;
  }
}
