/** The work of a pipeline as numbers in order of age: an op is one micro-batch of one task in one step. */
export interface PipelineOps {
  /** Ops of one step, and of all. */
  readonly perStep: number;
  readonly total: number;
  readonly stepOf: (op: number) => number;
  /** Index into the placement's tasks. */
  readonly taskOf: (op: number) => number;
  readonly microbatchOf: (op: number) => number;
}

/** Older is by step, then task, then micro-batch: sibling tasks follow each other closely. */
export function numberOps(steps: number, tasks: number, microbatches: number): PipelineOps {
  const perStep = tasks * microbatches;
  return {
    perStep,
    total: steps * perStep,
    stepOf: (op) => Math.floor(op / perStep),
    taskOf: (op) => Math.floor((op % perStep) / microbatches),
    microbatchOf: (op) => op % microbatches,
  };
}
