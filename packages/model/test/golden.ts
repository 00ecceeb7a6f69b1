/** Reads the golden fixtures: values from PyTorch, transformers and PEFT (see fixtures/README.md). */
import { join } from 'node:path';

import type { LoraSegment } from '@contextlora/kernels';
import * as tf from '@contextlora/kernels/tfjs';
import { readPeftFolder, readSafetensors } from '@contextlora/lora/files';
import { toFloat32, toIntegers, type Safetensors } from '@contextlora/lora/safetensors';
import { linearsOf, type LoadedModel, type SegmentsByLinear, type TokenBatch } from '@contextlora/model';

export const fixture = (...parts: string[]) => join(import.meta.dirname, 'fixtures', ...parts);

export class Golden {
  readonly #file: Safetensors;
  private constructor(file: Safetensors) {
    this.#file = file;
  }
  static async read(...parts: string[]): Promise<Golden> {
    return new Golden(await readSafetensors(fixture(...parts)));
  }
  names(): string[] {
    return [...this.#file.tensors.keys()];
  }
  #get(name: string) {
    const tensor = this.#file.tensors.get(name);
    if (!tensor) throw new Error(`no golden tensor ${name}`);
    return tensor;
  }
  shape(name: string): readonly number[] {
    return this.#get(name).shape;
  }
  floats(name: string): Float32Array {
    return toFloat32(this.#get(name));
  }
  integers(name: string): number[] {
    return toIntegers(this.#get(name));
  }
}

/** The text batch of an expected file, right padded; `images` as features if the model has them. */
export function batchOfGolden(
  golden: Golden,
  images: readonly (Float32Array | undefined)[] = [],
): TokenBatch {
  const [batch = 0, time = 0] = golden.shape('input_ids');
  return { batch, time, ids: Int32Array.from(golden.integers('input_ids')), images };
}

/** logits[:, :-1] against labels[:, 1:], mean over all labels that are not −100. */
export function lossRequestOf(golden: Golden, from: Golden = golden) {
  const [batch = 0, time = 0] = from.shape('labels');
  const labels = from.integers('labels');
  const rows: number[] = [];
  const targets: number[] = [];
  for (let i = 0; i < batch; i++)
    for (let t = 0; t + 1 < time; t++) {
      const label = labels[i * time + t + 1] ?? -100;
      if (label === -100) continue;
      rows.push(i * time + t);
      targets.push(label);
    }
  return {
    rows: Int32Array.from(rows),
    targets: Int32Array.from(targets),
    weights: new Float32Array(rows.length).fill(1 / rows.length),
  };
}

/** The modules of PEFT folders as segments, in order; with `train` those of the last folder train. */
export async function segmentsOf(
  model: LoadedModel,
  folders: readonly string[],
  { train }: { train: boolean },
) {
  const known = new Set(linearsOf(model.spec).map(({ name }) => name));
  const byLinear = new Map<string, LoraSegment[]>();
  for (const [i, folder] of folders.entries()) {
    const { modules } = await readPeftFolder(fixture(folder));
    for (const [name, { a, b, rank, inFeatures, outFeatures, scale }] of Object.entries(modules)) {
      if (!known.has(name)) throw new Error(`the model has no layer ${name}`);
      byLinear.set(name, [
        ...(byLinear.get(name) ?? []),
        {
          a: tf.tensor2d(a, [rank, inFeatures]),
          b: tf.tensor2d(b, [outFeatures, rank]),
          scale,
          train: train && i === folders.length - 1,
        },
      ]);
    }
  }
  return byLinear as SegmentsByLinear;
}

/** The largest absolute difference over the elements that `where` keeps. */
export function worstDifference(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  where: (index: number) => boolean = () => true,
): number {
  if (actual.length !== expected.length) return Infinity;
  let worst = 0;
  for (let i = 0; i < expected.length; i++)
    if (where(i)) {
      const difference = Math.abs((actual[i] ?? NaN) - (expected[i] ?? NaN));
      if (!(difference <= worst)) worst = difference;
    }
  return worst;
}

export const largest = (values: ArrayLike<number>) => Math.max(...Array.from(values, Math.abs));
