/**
 * The trained segments of a task in one flat buffer, with buffers of the same layout for the gradient and the optimizer's moments.
 *
 * The segments' arrays become views of the buffer, so that the optimizer is one loop and writes straight into the segments.
 */
import type { Segment, SegmentMatrices, Segments } from '@contextlora/lora';

/** Running means that optimizers keep: of the gradient, and of its square. */
export type Moment = 'first' | 'second';

export interface TrainedParameters {
  readonly parameters: Float32Array;
  readonly gradients: Float32Array;
  /** Those that the optimizer keeps. */
  readonly moments: Readonly<Partial<Record<Moment, Float32Array>>>;
  /** The trained segments as views of `parameters`. */
  readonly segments: Segments;
  /** Their gradients as views of `gradients`. */
  readonly segmentGradients: Segments;
  /** The optimizer steps taken. */
  step: number;
}

/** Copies the segments of the given tasks into one buffer, with zeros for the moments that the optimizer keeps. */
export function flattenSegments(
  segments: Segments,
  tasks: readonly string[],
  moments: readonly Moment[],
): TrainedParameters {
  const trained: Segments = Object.fromEntries(
    tasks.flatMap((task): [string, Segment][] => {
      const segment = segments[task];
      return segment ? [[task, segment]] : [];
    }),
  );
  const length = Object.values(trained)
    .flatMap((segment) => Object.values(segment))
    .reduce((sum, { a, b }) => sum + a.length + b.length, 0);
  const parameters = new Float32Array(length);
  const gradients = new Float32Array(length);
  const views = viewsOf(trained, parameters);
  for (const [task, segment] of Object.entries(trained))
    for (const [linear, { a, b }] of Object.entries(segment)) {
      views[task]?.[linear]?.a.set(a);
      views[task]?.[linear]?.b.set(b);
    }
  return {
    parameters,
    gradients,
    moments: Object.fromEntries(moments.map((name) => [name, new Float32Array(length)])),
    segments: views,
    segmentGradients: viewsOf(trained, gradients),
    step: 0,
  };
}

/** The arrays of segments in the order in which a buffer has them. */
export const flatArrays = (segments: readonly Segment[]): Float32Array[] =>
  segments.flatMap((segment) => Object.values(segment).flatMap(({ a, b }) => [a, b]));

/** The matrices of segments as views of a buffer, one after the other. */
export function viewsOf(segments: Segments, buffer: Float32Array): Segments {
  let at = 0;
  const view = ({ length }: Float32Array) => buffer.subarray(at, (at += length));
  return Object.fromEntries(
    Object.entries(segments).map(([task, segment]): [string, Segment] => [
      task,
      Object.fromEntries(
        Object.entries(segment).map(([linear, { rank, a, b }]): [string, SegmentMatrices] => [
          linear,
          { rank, a: view(a), b: view(b) },
        ]),
      ),
    ]),
  );
}
