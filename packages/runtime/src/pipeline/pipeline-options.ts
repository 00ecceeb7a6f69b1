/** What a pipeline is made from, and what it tells. */
import type { Clock } from '../clock/clock.js';
import type { MicrobatchHeader } from '../stage/stage.js';
import type { Transport } from '../transport/transport.js';
import type { MeasuredStep } from './measured-step.js';
import type { ModelSide } from './model-side.js';
import type { PlacedPipeline } from './placed-pipeline.js';

export type PipelineEvent =
  /** One for each lane. */
  | { readonly type: 'placed'; readonly pipeline: PlacedPipeline }
  /** One for each lane. */
  | { readonly type: 'step'; readonly measured: MeasuredStep }
  /** A device is lost; the others go on from the last committed step. */
  | { readonly type: 'lost'; readonly device: string; readonly reason: string }
  | { readonly type: 'recovered'; readonly seconds: number; readonly stepsRepeated: number };

/** The workers of a pipeline, and the coordinator's way to them. */
export interface PipelineDevices {
  /** The coordinator's, which reaches all devices. */
  readonly transport: Transport;
  readonly devices: readonly string[];
}

export interface PipelineModelOptions<
  Example,
  Header extends MicrobatchHeader,
  Tokens,
  State,
  Prediction,
> extends Partial<PipelineDevices> {
  /**
   * In place of `transport` and `devices`, where devices come and go: who works from now on, of whom `left` are at work. Called before every
   * phase and after a loss; a transport other than the one before means that all devices begin anew.
   */
  readonly connect?: (left: readonly string[]) => Promise<PipelineDevices>;
  readonly model: ModelSide<Example, Header, Tokens, State, Prediction>;
  /** Decides where the layers go, for the tasks of a phase on the devices that are left: in one pipeline, or in several on devices of their own. */
  readonly place: (
    devices: readonly string[],
    tasks: readonly string[],
  ) => PlacedPipeline | readonly PlacedPipeline[];
  /** Steps between two copies of the state on the coordinator; those since the last are repeated when a device is lost. @default 1 */
  readonly stateEverySteps?: number;
  readonly onEvent?: (event: PipelineEvent) => void;
  /** Ends a worker that is lost, where that can be done from here. */
  readonly endWorker?: (device: string) => void;
  /** What a lost worker said when it ended, where that is known. */
  readonly reasonOf?: (device: string) => string | undefined;
  readonly clock?: Clock;
  /** Seconds of silence after which a device is taken for lost. @default 0.6 */
  readonly silenceSeconds?: number;
  /** Silence granted to a worker at its start. @default 60 */
  readonly firstSeconds?: number;
}
