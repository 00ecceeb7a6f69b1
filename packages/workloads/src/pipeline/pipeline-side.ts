/** What the coordinator of a pipeline knows of a model: its texts, segments and state, and none of its layers. */
import type { Partition, Roles, Segments } from '@contextlora/lora';
import { hashSegment } from '@contextlora/lora/files';
import {
  clipStep,
  decodeState,
  encodeState,
  type Example,
  hashOptimizerStates,
  lowerLayersKey,
  mergeStates,
  type MicrobatchHeader,
  type MicrobatchTokens,
  type ModelText,
  type LoraDropout,
  openMicrobatches,
  type TrainingState,
} from '@contextlora/model';
import type { ModelSide, StagePhase } from '@contextlora/runtime';

export interface PipelineSideOptions<Prediction> {
  readonly text: ModelText;
  readonly partition: Partition;
  /** With which the run begins. */
  readonly segments: Segments;
  /** The largest global norm of a gradient. @default 1 */
  readonly clipNorm?: number;
  readonly promptLoss?: boolean;
  readonly dropout?: LoraDropout | undefined;
  readonly maximumNewTokens?: number;
  readonly predict: (
    segments: Segments,
    task: string,
    examples: readonly Example[],
    roles?: Roles,
  ) => Promise<readonly Prediction[]>;
  /** Told of the segments whenever the coordinator has those of all stages. */
  readonly onSegments?: (segments: Segments) => void;
}

export function pipelineSide<Prediction>({
  text,
  partition,
  segments,
  clipNorm = 1,
  promptLoss = false,
  dropout,
  maximumNewTokens = 128,
  predict,
  onSegments = () => undefined,
}: PipelineSideOptions<Prediction>): ModelSide<
  Example,
  MicrobatchHeader,
  MicrobatchTokens,
  TrainingState,
  Prediction
> {
  const prepare = openMicrobatches(text, { maximumNewTokens, promptLoss, dropout });
  /** Of each task of a phase, found at its first step. */
  let lowerKeys = new WeakMap<StagePhase, Map<string, string | undefined>>();
  const lowerKeyOf = (task: string, phase: StagePhase, { segments: now }: TrainingState) => {
    const known = lowerKeys.get(phase) ?? new Map<string, string | undefined>();
    lowerKeys.set(phase, known);
    if (!known.has(task))
      known.set(task, lowerLayersKey(text.spec, partition, { task, roles: phase.roles, segments: now }));
    return known.get(task);
  };
  return {
    initial: { segments, optimizers: {} },
    microbatches(task, microBatches, { phase, state }) {
      const microbatches = prepare(task, microBatches, { lowerKey: lowerKeyOf(task, phase, state) });
      return {
        microbatches,
        tokens: microbatches.reduce((sum, { header }) => header.lengths.reduce((a, b) => a + b, sum), 0),
      };
    },
    clip(squares, { loss }) {
      const { norm, gradientScale } = clipStep(squares, { loss, clipNorm });
      return { norm, gradientScale };
    },
    merge(states) {
      const merged = mergeStates(states, partition);
      onSegments(merged.segments);
      return merged;
    },
    join(lanes) {
      const joined: TrainingState = {
        segments: { ...lanes[0]!.state.segments, ...ofLanes(lanes, ({ segments }) => segments) },
        optimizers: ofLanes(lanes, ({ optimizers }) => optimizers),
      };
      onSegments(joined.segments);
      return joined;
    },
    encode: (state) => encodeState(state, partition),
    decode(files, like) {
      lowerKeys = new WeakMap();
      const state = decodeState(files, like, partition);
      onSegments(state.segments);
      return state;
    },
    hashSegment: (state, task) => hashSegment(state.segments[task] ?? {}),
    hashOptimizer: hashOptimizerStates,
    predict: (state, task, examples, roles) => predict(state.segments, task, examples, roles),
  };
}

/** Of each lane what belongs to its tasks. */
const ofLanes = <T>(
  lanes: readonly { readonly state: TrainingState; readonly tasks: readonly string[] }[],
  pick: (state: TrainingState) => Readonly<Record<string, T>>,
): Record<string, T> =>
  Object.fromEntries(
    lanes.flatMap(({ state, tasks }) => Object.entries(pick(state)).filter(([task]) => tasks.includes(task))),
  );
