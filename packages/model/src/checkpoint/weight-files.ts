/** The named tensors of a checkpoint, read one by one, whatever the file format. */
import type { CompactWeight } from '@contextlora/kernels';

export interface WeightFiles {
  /** The shape of a tensor by its run-time name (that of Hugging Face's modules); undefined if there is no such tensor. */
  shapeOf(name: string): readonly number[] | undefined;
  /** The file that holds a tensor, for messages. */
  fileOf(name: string): string;
  /** A tensor in float32, into `target` if given. */
  read(name: string, target?: Float32Array): Promise<Float32Array>;
  /** A matrix as stored, or in other blocks of the same numbers, if kernels can keep those; otherwise in float32. */
  readStored(name: string): Promise<Float32Array | CompactWeight>;
  close(): Promise<void>;
}

/** The number of values in a shape. */
export const sizeOf = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1);
