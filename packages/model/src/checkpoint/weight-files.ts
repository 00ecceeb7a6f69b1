/** The named tensors of a checkpoint, read one by one, whatever the file format. */
import type { CompactWeight } from '@contextlora/kernels';

export interface WeightFiles {
  /** Every tensor that the files have, by its name there. */
  readonly storedNames: readonly string[];
  /**
   * The name that the files have for the tensor with a run-time name (that of Hugging Face's modules); undefined if there is none.
   *
   * @throws ModelError when two tensors could be meant.
   */
  storedName(name: string): string | undefined;
  /** The shape of a tensor by its run-time name; undefined if there is no such tensor. */
  shapeOf(name: string): readonly number[] | undefined;
  /** The type of a tensor that exists, if its values cannot be read; undefined if they can. */
  unreadableType(name: string): string | undefined;
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
