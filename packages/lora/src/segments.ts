/** The numbers of a partition, task by task, so that one task's segment is one value. */

/** One task's share of one layer. */
export interface SegmentMatrices {
  readonly rank: number;
  /** `[rank, in]`, row-major. */
  readonly a: Float32Array;
  /** `[out, rank]`, row-major. */
  readonly b: Float32Array;
}

/** Layer name → matrices. */
export type Segment = Readonly<Record<string, SegmentMatrices>>;

/** Task → segment. */
export type Segments = Readonly<Record<string, Segment>>;
