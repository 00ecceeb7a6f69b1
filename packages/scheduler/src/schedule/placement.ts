/** Which devices hold which layers: an ordered list of stages, each a group of devices with one contiguous range of layers. */

/** A device's part in a stage. */
export interface Member {
  readonly device: string;
  /** Share of every step's samples; the shares of a stage sum to 1, except where devices split the layers' work instead. */
  readonly share: number;
  /** Fraction of each layer's work and activations (tensor parallelism); 1 when absent. */
  readonly work?: number;
  /** Fraction of the parameters kept resident (sharded parameters); 1 when absent. */
  readonly parameters?: number;
  /** Fraction of the optimizer state kept; 1 when absent. */
  readonly optimizer?: number;
}

export interface Stage {
  /** First layer. */
  readonly start: number;
  /** One past the last layer. */
  readonly end: number;
  readonly members: readonly Member[];
  /** Bytes with which the members exchange gradients, as a fraction of the workload's (half precision: 1/2); 1 when absent. */
  readonly gradients?: number;
}

/** One pipeline: the tasks it trains, in how many micro-batches a step is divided, and its stages in the order of the forward pass. */
export interface Placement {
  readonly tasks: readonly string[];
  readonly microbatches: number;
  readonly stages: readonly Stage[];
}

/** Devices that split every layer's work all handle every sample. */
export const splitsWork = (members: readonly Member[]): boolean => members.some(({ work = 1 }) => work < 1);
