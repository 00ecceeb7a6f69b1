/**
 * A contiguous range of a model's layers that trains phase by phase: what the executor asks of it.
 *
 * The runtime knows no model. `StageExecutor` of `@contextlora/model` fits this structurally, and so does any other that keeps to it: calls
 * are made one at a time, and micro-batches of a task come back in ascending order.
 */

/** What every stage is told of a micro-batch; the rest of it is the model's business. */
export interface MicrobatchHeader {
  readonly task: string;
  readonly hasImages: boolean;
}

export interface MicrobatchKey {
  readonly task: string;
  readonly microbatch: number;
}

/** What a stage has to do for a micro-batch after its forward pass. */
export interface StageWork {
  /** Whether anything is kept, and a backward pass must follow. */
  readonly backward: boolean;
  /** Whether the stage itself trains something. */
  readonly trains: boolean;
  /** Whether a gradient goes on to the stage below. */
  readonly inputGradient: boolean;
}

export interface StagePhase {
  readonly tasks: readonly string[];
  /** Task → the role of every task's segment in its steps. */
  readonly roles: Readonly<Record<string, Readonly<Record<string, 'train' | 'freeze' | 'mask'>>>>;
}

export interface Stage<Header extends MicrobatchHeader, Tokens, State> extends AsyncDisposable {
  /** Fresh optimizer state for what trains; drops all other state, and whatever is in flight. */
  setPhase(phase: StagePhase): Promise<void>;
  work(task: string, about: { readonly hasImages: boolean }): StageWork;
  /** Whether the stage has the input of the lowest trained layer in its cache, so that the stages below need not run. */
  holds(header: Header): boolean;
  /** Hidden values `[batch · time, hidden]`, or on the last stage the loss in nats; keeps what the backward pass needs. */
  forward(
    microbatch: number,
    header: Header,
    input: { readonly tokens?: Tokens; readonly hidden?: Float32Array },
  ): Promise<{ readonly loss?: number; readonly hidden?: Float32Array }>;
  /** Both halves of the backward pass at once. */
  backward(key: MicrobatchKey, outputGradient?: Float32Array): Promise<Float32Array | undefined>;
  /** The gradient of the input alone. */
  backwardInput(key: MicrobatchKey, outputGradient?: Float32Array): Promise<Float32Array | undefined>;
  /** Adds the gradients of what trains, after `backwardInput`. */
  backwardWeight(key: MicrobatchKey): Promise<void>;
  /** For each layer of the range the sum of squares of the task's gradient so far. */
  gradientSquares(task: string): readonly number[] | Promise<readonly number[]>;
  /** The task's gradient, to be added to in place. */
  gradients(task: string): Float32Array;
  update(
    task: string,
    step: { readonly learningRate: number; readonly gradientScale: number },
  ): Promise<void>;
  /** Drops the task's gradient and what is in flight, as if the step had not begun. */
  discard(task: string): Promise<void>;
  /** A copy of the state of this stage's layers. */
  state(): State;
  /** Takes the state of this stage's layers from one that may hold more. */
  restore(state: State): Promise<void>;
}
