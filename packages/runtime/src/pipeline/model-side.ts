/** What the coordinator knows of a model, which needs none of its layers. */
import type { MicrobatchHeader, StagePhase } from '../stage/stage.js';
import type { Clip, PreparedMicrobatch } from './run-step.js';

export type Files = Readonly<Record<string, Uint8Array>>;
export type Roles = StagePhase['roles'][string];

export interface ModelSide<Example, Header extends MicrobatchHeader, Tokens, State, Prediction> {
  /** The micro-batches of a step; their losses add up to the mean over all examples. */
  microbatches(
    task: string,
    microBatches: readonly (readonly Example[])[],
    about: {
      readonly phase: StagePhase;
      /** Of which the segments that the phase does not train are as they are on the devices. */
      readonly state: State;
    },
  ): { readonly microbatches: readonly PreparedMicrobatch<Header, Tokens>[]; readonly tokens: number };
  readonly clip: Clip;
  /** The state before the first step. */
  readonly initial: State;
  /** The states of all stages of a lane as one. */
  merge(states: readonly State[]): State;
  /** The states of lanes side by side as one: of each what its tasks train. Needed where a phase has several lanes. */
  join?(lanes: readonly { readonly state: State; readonly tasks: readonly string[] }[]): State;
  encode(state: State): Files;
  /** The state in files, which has the tasks in training that `like` has. */
  decode(files: Files, like: State): State;
  hashSegment(state: State, task: string): string;
  hashOptimizer(state: State, task: string): string | undefined;
  predict(
    state: State,
    task: string,
    examples: readonly Example[],
    roles?: Roles,
  ): Promise<readonly Prediction[]>;
}
