/** A worker's signs of life. Computing holds up its thread, so before it computes it says how long it may be silent. */
import type { Clock } from '../clock/clock.js';
import { encodeMessage } from '../message/message.js';
import type { Transport } from '../transport/transport.js';
import { type Beat, channels } from './commands.js';

export interface HeartOptions {
  readonly transport: Transport;
  readonly coordinator: string;
  readonly clock: Clock;
  /** Seconds of silence after which a worker is taken for lost. */
  readonly silenceSeconds: number;
  /** Silence granted to the first instruction of a kind, whose duration nobody knows yet. */
  readonly firstSeconds: number;
}

export interface Heart {
  /** Says that an instruction of this kind begins; to be called with its duration when it has ended. */
  beginCompute(kind: string): (seconds: number) => void;
  stop(): void;
}

/** The silence granted to an instruction, in units of the longest of its kind so far. */
const patience = 4;

export function startHeart({
  transport,
  coordinator,
  clock,
  silenceSeconds,
  firstSeconds,
}: HeartOptions): Heart {
  const stopped = new AbortController();
  const longest = new Map<string, number>();
  let isSending = false;
  const beat = (quietSeconds: number) => {
    // A beat that is still under way says enough, unless this one promises a longer silence.
    if (isSending && quietSeconds <= silenceSeconds) return;
    isSending = true;
    transport.send(coordinator, channels.beats, encodeMessage({ quietSeconds } satisfies Beat)).then(
      () => (isSending = false),
      () => {
        stopped.abort();
      },
    );
  };
  const keepBeating = async () => {
    while (!stopped.signal.aborted) {
      beat(silenceSeconds);
      await clock.sleep(silenceSeconds / 5, stopped.signal);
    }
  };
  void keepBeating();
  return {
    beginCompute(kind) {
      const known = longest.get(kind);
      beat(silenceSeconds + (known === undefined ? firstSeconds : patience * known));
      return (seconds) => longest.set(kind, Math.max(seconds, longest.get(kind) ?? 0));
    },
    stop() {
      stopped.abort();
    },
  };
}
