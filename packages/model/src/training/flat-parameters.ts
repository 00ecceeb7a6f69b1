/**
 * The trained segments as one flat buffer, with gradient and moments beside it.
 *
 * The segments' own arrays become views of the buffer, so that the optimizer's step is one loop and what it writes is the segment.
 */
import type { Segment, SegmentMatrices, Segments } from '@contextlora/lora';

export interface FlatParameters {
  readonly parameters: Float32Array;
  readonly gradients: Float32Array;
  readonly firstMoment: Float32Array;
  readonly secondMoment: Float32Array;
  /** The trained segments, their arrays views of `parameters`. */
  readonly segments: Segments;
  /** Where a matrix lies in the buffer. */
  offsetOf(task: string, layer: string, side: 'a' | 'b'): number;
}

/** Copies the segments of the given tasks into one buffer. */
export function flattenSegments(segments: Segments, tasks: readonly string[]): FlatParameters {
  const entries = tasks.flatMap((task) =>
    Object.entries(segments[task] ?? {}).map(([layer, matrices]) => ({ task, layer, matrices })),
  );
  const length = entries.reduce((sum, { matrices: { a, b } }) => sum + a.length + b.length, 0);
  const parameters = new Float32Array(length);
  const offsets = new Map<string, number>();
  const views: Record<string, Record<string, SegmentMatrices>> = {};
  let at = 0;
  for (const { task, layer, matrices } of entries) {
    const place = (side: 'a' | 'b') => {
      const values = matrices[side];
      parameters.set(values, at);
      offsets.set(JSON.stringify([task, layer, side]), at);
      const view = parameters.subarray(at, at + values.length);
      at += values.length;
      return view;
    };
    (views[task] ??= {})[layer] = { rank: matrices.rank, a: place('a'), b: place('b') };
  }
  const trained: Record<string, Segment> = views;
  return {
    parameters,
    gradients: new Float32Array(length),
    firstMoment: new Float32Array(length),
    secondMoment: new Float32Array(length),
    segments: trained,
    offsetOf(task, layer, side) {
      const offset = offsets.get(JSON.stringify([task, layer, side]));
      if (offset === undefined) throw new Error(`internal: ${task}/${layer}/${side} is not trained`);
      return offset;
    },
  };
}
