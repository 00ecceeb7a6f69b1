/** The coordinator's side of one worker: commands and their reports, and whether the worker is alive. */
import type { Clock } from '../clock/clock.js';
import { untilAborted } from '../execute/until-aborted.js';
import { decodeMessage, encodeMessage } from '../message/message.js';
import { RuntimeError, type RuntimeErrorCode } from '../runtime-error.js';
import type { MicrobatchHeader } from '../stage/stage.js';
import type { Transport } from '../transport/transport.js';
import { type Beat, channels, type Command, type Numbered, type Report } from '../worker/commands.js';

type Done<State> = Extract<Report<State>, { type: 'done' }>;
type Progress<State> = Exclude<Report<State>, { type: 'done' | 'failed' }>;

export interface DeviceSession<Header extends MicrobatchHeader, Tokens, State> {
  readonly device: string;
  /** Resolves with the worker's first sign of life, rejects when it is lost before. */
  readonly begun: Promise<void>;
  /** Sends a command and waits until it is carried out; `onProgress` is told what comes before that. */
  perform(
    command: Command<Header, Tokens, State>,
    onProgress?: (report: Progress<State>) => void,
  ): Promise<Done<State>>;
  /** Sends something that belongs to the command under way. */
  tell(command: Command<Header, Tokens, State>): Promise<void>;
  /** Stops the command under way; its reports are no longer read. */
  interrupt(): void;
  /** Gives the worker up, as one that is lost. */
  abandon(reason: RuntimeError): void;
}

export interface SessionOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Seconds without a sign of life after which the worker is lost. */
  readonly silenceSeconds: number;
  /** Silence granted at the beginning. */
  readonly firstSeconds: number;
  /** Numbers for commands, each higher than all before, over all workers. */
  readonly nextNumber: () => number;
}

export function openSession<Header extends MicrobatchHeader, Tokens, State>(
  transport: Transport,
  device: string,
  { clock, signal, silenceSeconds, firstSeconds, nextNumber }: SessionOptions,
): DeviceSession<Header, Tokens, State> {
  const gone = new AbortController();
  /** Why the worker is given up. */
  const reasons: RuntimeError[] = [];
  const reason = (): RuntimeError | undefined => reasons[0];
  let number = -1;
  let stop = new AbortController();
  let begin: () => void = () => undefined;
  let fail: (why: unknown) => void = () => undefined;
  const begun = new Promise<void>((resolve, reject) => {
    [begin, fail] = [resolve, reject];
  });
  begun.catch(() => undefined);
  const abandon = (why: RuntimeError) => {
    fail(why);
    reasons.push(why);
    gone.abort();
  };
  const until = AbortSignal.any([gone.signal, signal]);
  const receive = async (channel: string, stopped: AbortSignal = until): Promise<unknown> => {
    try {
      return decodeMessage(await transport.receive(device, channel, { signal: stopped }));
    } catch (error) {
      if (error instanceof RuntimeError && error.code === 'RUNTIME_PEER_LOST') abandon(error);
      throw reason() ?? error;
    }
  };
  const send = async (channel: string, content: unknown) => {
    const why = reason();
    if (why) throw why;
    try {
      await untilAborted(transport.send(device, channel, encodeMessage({ number, content })), until);
    } catch (error) {
      if (error instanceof RuntimeError && error.code === 'RUNTIME_PEER_LOST') abandon(error);
      throw reason() ?? error;
    }
  };

  let deadline = clock.now() + Math.max(firstSeconds, silenceSeconds);
  const listen = async () => {
    for (;;) {
      const { quietSeconds } = (await receive(channels.beats)) as Beat;
      begin();
      deadline = clock.now() + quietSeconds;
    }
  };
  const watch = async () => {
    while (!until.aborted) {
      const asleepSince = clock.now();
      // A sign of life may also bring the deadline nearer.
      const pause = Math.max(0, Math.min(deadline - asleepSince, silenceSeconds / 4));
      await clock.sleep(pause, until);
      await clock.turn();
      // While this process stood still it heard nobody, which says nothing about the worker.
      if (clock.now() - asleepSince > pause + silenceSeconds / 2)
        deadline = Math.max(deadline, clock.now() + silenceSeconds);
      if (clock.now() < deadline) continue;
      abandon(
        new RuntimeError(
          'RUNTIME_PEER_LOST',
          'PipelineModel',
          `nothing was heard of ${device} for ${silenceSeconds} s; it has died, hangs, or cannot be reached`,
          { device },
        ),
      );
    }
  };
  listen().catch(fail);
  void watch();

  return {
    device,
    begun,
    async perform(command, onProgress) {
      number = nextNumber();
      const mine = number;
      stop = new AbortController();
      const stopped = AbortSignal.any([until, stop.signal]);
      await send(channels.commands, command);
      for (;;) {
        const report = (await receive(channels.reports, stopped)) as Numbered<Report<State>>;
        if (report.number !== mine) continue;
        const { content } = report;
        if (content.type === 'done') return content;
        if (content.type !== 'failed') onProgress?.(content);
        else
          throw new RuntimeError(
            content.code as RuntimeErrorCode,
            'PipelineModel',
            `${device} reports: ${content.message}`,
            { device: content.device ?? device },
          );
      }
    },
    async tell(command) {
      await send(channels.commands, command);
    },
    interrupt() {
      send(channels.interruptions, null).catch(() => undefined);
      stop.abort();
    },
    abandon,
  };
}
