/**
 * A worker: carries out the coordinator's commands on the layers that it is given, one after the other, until it is told to close.
 *
 * What fails is reported and does not end the worker, so that it can be given other layers. It ends when the coordinator is lost.
 */
import { type Clock, realClock } from '../clock/clock.js';
import { executeProgram, type ExecutedInstruction } from '../execute/execute-program.js';
import { aborted } from '../execute/until-aborted.js';
import { decodeMessage, encodeMessage } from '../message/message.js';
import { RuntimeError } from '../runtime-error.js';
import type { MicrobatchHeader, Stage } from '../stage/stage.js';
import type { Transport } from '../transport/transport.js';
import { channels, type Command, type LayerRange, type Numbered, type Report } from './commands.js';
import { startHeart } from './heart.js';

export interface ServeStageOptions<Header extends MicrobatchHeader, Tokens, State> {
  /** Loads a range of the model's layers, with the segments that a run begins with. */
  readonly openStage: (range: LayerRange) => Promise<Stage<Header, Tokens, State>>;
  /** The device that commands. @default 'coordinator' */
  readonly coordinator?: string;
  readonly clock?: Clock;
  /** Seconds of silence after which a worker is taken for lost. @default 0.6 */
  readonly silenceSeconds?: number;
  /** Silence granted to loading, and to the first instruction of each kind. @default 60 */
  readonly firstSeconds?: number;
}

/** Serves until the coordinator closes it, or is lost. */
export async function serveStage<Header extends MicrobatchHeader, Tokens, State>(
  transport: Transport,
  {
    openStage,
    coordinator = 'coordinator',
    clock = realClock,
    silenceSeconds = 0.6,
    firstSeconds = 60,
  }: ServeStageOptions<Header, Tokens, State>,
): Promise<void> {
  type Content = Command<Header, Tokens, State>;
  const heart = startHeart({ transport, coordinator, clock, silenceSeconds, firstSeconds });
  let stage: Stage<Header, Tokens, State> | undefined;
  let current: { readonly number: number; readonly stop: AbortController } | undefined;
  let interrupted = -1;
  /** A command that came where a decision was waited for. */
  let early: Numbered<Content> | undefined;

  const nextCommand = async (signal?: AbortSignal): Promise<Numbered<Content>> => {
    for (;;) {
      const command =
        early ??
        (decodeMessage(
          await transport.receive(coordinator, channels.commands, signal ? { signal } : {}),
        ) as Numbered<Content>);
      early = undefined;
      if (command.number > interrupted) return command;
    }
  };
  const watchInterruptions = async () => {
    for (;;) {
      const bytes = await transport.receive(coordinator, channels.interruptions);
      interrupted = Math.max(interrupted, (decodeMessage(bytes) as Numbered<null>).number);
      if (current && current.number <= interrupted) current.stop.abort();
    }
  };
  // It ends with the transport, as the loop below does.
  watchInterruptions().catch(() => undefined);

  const opened = () => {
    if (!stage)
      throw new RuntimeError('RUNTIME_INPUT_INVALID', 'serveStage', 'no layers have been opened yet');
    return stage;
  };

  const runProgram = async (
    { program, run, microbatches, window, withState }: Extract<Content, { type: 'run' }>,
    report: (content: Report<State>) => void,
    signal: AbortSignal,
  ): Promise<Report<State>> => {
    const executed: ExecutedInstruction[] = [];
    let computed: ((seconds: number) => void) | undefined;
    const running = executeProgram(program, opened(), transport, {
      microbatches,
      clock,
      signal,
      run,
      window,
      onLoss(task, microbatch, loss) {
        report({ type: 'loss', task, microbatch, loss });
      },
      onCompute({ type, task }) {
        computed = heart.beginCompute(`${type} ${task}`);
      },
      async decide(task, squares) {
        report({ type: 'gradient', task, squares });
        const command = await nextCommand(signal);
        const { content } = command;
        // Of a coordinator that has given up the step, and whose interruption has not come yet.
        if (command.number !== current?.number) {
          early = command;
          throw aborted();
        }
        if (content.type !== 'decide' || content.task !== task)
          throw new RuntimeError(
            'RUNTIME_FRAME_REFUSED',
            'serveStage',
            `the coordinator sent "${content.type}" where the step of "${task}" is decided`,
          );
        return content.decision ?? undefined;
      },
    });
    for await (const one of running) {
      computed?.(one.endSeconds - one.readySeconds);
      computed = undefined;
      executed.push(one);
    }
    return { type: 'done', executed, ...(withState ? { state: opened().state() } : {}) };
  };

  const carryOut = async (
    content: Content,
    report: (content: Report<State>) => void,
    signal: AbortSignal,
  ): Promise<Report<State>> => {
    switch (content.type) {
      case 'open': {
        await stage?.[Symbol.asyncDispose]();
        stage = undefined;
        heart.beginCompute('open');
        stage = await openStage(content.range);
        return { type: 'done' };
      }
      case 'begin': {
        const { phase, state, isUnderWay } = content;
        heart.beginCompute('begin');
        // Outside a phase a state consists of segments alone.
        await opened().setPhase({ tasks: [], roles: {} });
        await opened().restore(state);
        await opened().setPhase(phase);
        if (isUnderWay) await opened().restore(state);
        const workOf = (task: string, hasImages: boolean) => opened().work(task, { hasImages });
        return {
          type: 'done',
          state: opened().state(),
          work: Object.fromEntries(
            phase.tasks.map((task) => [task, [workOf(task, true), workOf(task, false)] as const]),
          ),
        };
      }
      case 'holds':
        return { type: 'done', holds: content.headers.map((header) => opened().holds(header)) };
      case 'run':
        return await runProgram(content, report, signal);
      case 'state':
        return { type: 'done', state: opened().state() };
      case 'restore':
        await opened().restore(content.state);
        return { type: 'done' };
      case 'decide':
        throw new RuntimeError('RUNTIME_FRAME_REFUSED', 'serveStage', 'no step waits for a decision');
      case 'close':
        return { type: 'done' };
    }
  };

  try {
    for (;;) {
      const { number, content } = await nextCommand();
      // Reports are not awaited one by one: the coordinator reads them all, in order.
      let reporting: Promise<void> = Promise.resolve();
      const report = (told: Report<State>) => {
        const bytes = encodeMessage({ number, content: told } satisfies Numbered<Report<State>>);
        reporting = reporting.then(() => transport.send(coordinator, channels.reports, bytes));
        reporting.catch(() => undefined);
      };
      current = { number, stop: new AbortController() };
      try {
        report(await carryOut(content, report, current.stop.signal));
      } catch (error) {
        report(failureOf(error));
      }
      current = undefined;
      await reporting;
      if (content.type === 'close') return;
    }
  } catch (error) {
    // A coordinator that is gone needs no worker; everything else has been reported.
    if (!(error instanceof RuntimeError)) throw error;
  } finally {
    heart.stop();
    await stage?.[Symbol.asyncDispose]();
  }
}

const failureOf = (error: unknown): Extract<Report<never>, { type: 'failed' }> => ({
  type: 'failed',
  code: error instanceof RuntimeError ? error.code : 'RUNTIME_STAGE_FAILED',
  message: error instanceof Error ? error.message : String(error),
  device: (error instanceof RuntimeError ? error.device : undefined) ?? null,
});
