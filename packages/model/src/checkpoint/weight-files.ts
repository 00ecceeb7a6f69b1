/** The named tensors of a checkpoint, read one by one, whatever the file format. */
import type { CompactWeight } from '@contextlora/kernels';

export interface WeightFiles {
  /** By run-time name, as Hugging Face's modules are called; undefined when it is not there. */
  shapeOf(name: string): readonly number[] | undefined;
  /** The file that holds a tensor, for messages. */
  fileOf(name: string): string;
  /** A tensor in float32, into `target` where given. */
  read(name: string, target?: Float32Array): Promise<Float32Array>;
  /** A matrix as the file stores it, or in other blocks of the same numbers, where kernels can keep those; else in float32. */
  readStored(name: string): Promise<Float32Array | CompactWeight>;
  close(): Promise<void>;
}

/** How many values a shape has. */
export const sizeOf = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1);
