/** Executes a device's program: a table of instructions and a loop. Computing and transferring overlap. */
import type { CollectiveInstruction, Instruction } from '@contextlora/scheduler';

import type { Clock } from '../clock/clock.js';
import { RuntimeError } from '../runtime-error.js';
import type { MicrobatchHeader, Stage, StageWork } from '../stage/stage.js';
import type { Transport } from '../transport/transport.js';
import { type Exchange, openExchange } from './exchange.js';
import { aborted } from './until-aborted.js';

/** An exchange of gradients in a group, some of whose devices may have had no sample. */
export interface GroupExchange extends CollectiveInstruction {
  /** All devices of the group: those that have a gradient (`members`) send it to all. */
  readonly recipients: readonly string[];
}

export type ProgramInstruction = Exclude<Instruction, CollectiveInstruction> | GroupExchange;

type InstructionOf<Type extends ProgramInstruction['type']> = Type extends unknown
  ? ProgramInstruction & { readonly type: Type }
  : never;

/** A micro-batch as this device gets it. */
export interface ProgramMicrobatch<Header, Tokens> {
  readonly microbatch: number;
  readonly header: Header;
  /** On devices of the first stage. */
  readonly tokens?: Tokens;
}

export interface ExecuteOptions<Header, Tokens> {
  readonly microbatches: readonly ProgramMicrobatch<Header, Tokens>[];
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Distinguishes this run of the program from others. @default 0 */
  readonly run?: number;
  /** Messages of a channel under way before a send waits. @default 2 */
  readonly window?: number;
  /** Told of each loss that the last stage computes. */
  readonly onLoss?: (task: string, microbatch: number, loss: number) => void;
  /** Called before an instruction that computes. */
  readonly onCompute?: (instruction: ProgramInstruction) => void;
  /** Decides the optimizer step of a task, when the gradient of this device is whole; undefined to drop the gradient. */
  readonly decide: (
    task: string,
    gradientSquares: readonly number[],
  ) => Promise<{ readonly learningRate: number; readonly gradientScale: number } | undefined>;
}

export interface ExecutedInstruction {
  readonly instruction: ProgramInstruction;
  readonly startSeconds: number;
  readonly endSeconds: number;
  /** Until the input had come; the same as `startSeconds` where nothing was waited for. */
  readonly readySeconds: number;
  readonly bytes?: number;
}

/**
 * Runs the instructions in order and yields each when it is done; a send is done when it has been handed over.
 *
 * @throws RuntimeError: `RUNTIME_PEER_LOST`, `RUNTIME_FRAME_REFUSED`, `RUNTIME_ABORTED`, or `RUNTIME_STAGE_FAILED` with the stage's error as
 * its cause.
 */
export async function* executeProgram<Header extends MicrobatchHeader, Tokens, State>(
  instructions: readonly ProgramInstruction[],
  stage: Stage<Header, Tokens, State>,
  transport: Transport,
  {
    microbatches,
    clock,
    signal,
    run = 0,
    window = 2,
    onLoss,
    onCompute,
    decide,
  }: ExecuteOptions<Header, Tokens>,
): AsyncGenerator<ExecutedInstruction> {
  const exchange = openExchange(transport, { run, window, signal });
  const known = new Map(microbatches.map((one) => [keyOf(one.header.task, one.microbatch), one]));
  const activations = new Map<string, Float32Array>();
  const gradients = new Map<string, Float32Array>();
  /** Backward passes already done as a whole. */
  const fused = new Set<string>();
  /** By task, what its update waits for. */
  const exchanging = new Map<string, Promise<void>>();
  let readySeconds: number;
  let sentBytes: number | undefined;

  const microbatchOf = ({ task, microbatch }: { task: string; microbatch: number }) => {
    const found = known.get(keyOf(task, microbatch));
    if (!found)
      throw new RuntimeError(
        'RUNTIME_INPUT_INVALID',
        'executeProgram',
        `the program works on micro-batch ${microbatch} of "${task}", which it was not given`,
      );
    return found;
  };
  const workOf = (instruction: { task: string; microbatch: number }): StageWork =>
    stage.work(instruction.task, microbatchOf(instruction).header);
  const compute = async <T>(instruction: ProgramInstruction, work: () => Promise<T>): Promise<T> => {
    readySeconds = clock.now();
    onCompute?.(instruction);
    try {
      return await work();
    } catch (error) {
      throw new RuntimeError(
        'RUNTIME_STAGE_FAILED',
        'executeProgram',
        `${transport.device} failed at ${instruction.type} of "${instruction.task}": ${messageOf(error)}`,
        { cause: error, device: transport.device },
      );
    }
  };
  const send = async (
    instruction: Extract<ProgramInstruction, { peer: string }>,
    kind: 'activation' | 'gradient',
    from: Map<string, Float32Array>,
  ) => {
    const key = keyOf(instruction.task, instruction.microbatch);
    const values = take(from, key, instruction);
    sentBytes = values.byteLength;
    await exchange.send(instruction.peer, kind, key, values);
  };

  const table: {
    readonly [Type in ProgramInstruction['type']]: (
      instruction: InstructionOf<Type>,
      next: ProgramInstruction | undefined,
    ) => Promise<void> | void;
  } = {
    load(instruction) {
      microbatchOf(instruction);
    },
    async forward(instruction) {
      const { task, microbatch } = instruction;
      const key = keyOf(task, microbatch);
      const { header, tokens } = microbatchOf(instruction);
      const hidden = activations.get(key);
      activations.delete(key);
      const input = { ...(tokens === undefined ? {} : { tokens }), ...(hidden ? { hidden } : {}) };
      const output = await compute(instruction, () => stage.forward(microbatch, header, input));
      if (output.hidden) activations.set(key, output.hidden);
      if (output.loss !== undefined) onLoss?.(task, microbatch, output.loss);
    },
    async backwardInput(instruction, next) {
      const { task, microbatch } = instruction;
      const { backward, trains } = workOf(instruction);
      if (!backward) return;
      const key = keyOf(task, microbatch);
      const whole =
        trains && next?.type === 'backwardWeight' && next.task === task && next.microbatch === microbatch;
      if (whole) fused.add(key);
      const output = gradients.get(key);
      gradients.delete(key);
      const input = await compute(instruction, () =>
        whole
          ? stage.backward({ task, microbatch }, output)
          : stage.backwardInput({ task, microbatch }, output),
      );
      if (input) gradients.set(key, input);
    },
    async backwardWeight(instruction) {
      const { task, microbatch } = instruction;
      const { backward, trains } = workOf(instruction);
      if (!backward || !trains || fused.delete(keyOf(task, microbatch))) return;
      await compute(instruction, () => stage.backwardWeight({ task, microbatch }));
    },
    async sendActivation(instruction) {
      await send(instruction, 'activation', activations);
    },
    async receiveActivation(instruction) {
      const key = keyOf(instruction.task, instruction.microbatch);
      activations.set(key, await exchange.receive(instruction.peer, 'activation', key));
    },
    async sendGradient(instruction) {
      if (workOf(instruction).inputGradient) await send(instruction, 'gradient', gradients);
    },
    async receiveGradient(instruction) {
      if (!workOf(instruction).backward) return;
      const key = keyOf(instruction.task, instruction.microbatch);
      gradients.set(key, await exchange.receive(instruction.peer, 'gradient', key));
    },
    collective(instruction) {
      const done = addUp(instruction, stage, transport.device, exchange);
      done.catch(() => undefined);
      exchanging.set(instruction.task, done);
    },
    async update(instruction) {
      const { task } = instruction;
      await exchanging.get(task);
      const decided = await decide(task, await stage.gradientSquares(task));
      await compute(instruction, () => (decided ? stage.update(task, decided) : stage.discard(task)));
    },
    // The stage keeps its cache itself; what it holds is not computed below it.
    cacheWrite: () => undefined,
    cacheRead: () => undefined,
  };

  for (const [index, instruction] of instructions.entries()) {
    if (signal.aborted) throw aborted();
    const startSeconds = clock.now();
    readySeconds = startSeconds;
    sentBytes = undefined;
    const act = table[instruction.type] as (
      instruction: ProgramInstruction,
      next: ProgramInstruction | undefined,
    ) => Promise<void> | void;
    await act(instruction, instructions[index + 1]);
    const bytes = sentBytes as number | undefined;
    yield {
      instruction,
      startSeconds,
      readySeconds,
      endSeconds: clock.now(),
      ...(bytes === undefined ? {} : { bytes }),
    };
    // Computing holds up the thread; here what has come in meanwhile is delivered.
    await clock.turn();
  }
  await Promise.all(exchanging.values());
  await exchange.settle();
}

const keyOf = (task: string, microbatch: number): string => `${microbatch} ${task}`;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function take(from: Map<string, Float32Array>, key: string, { type }: ProgramInstruction): Float32Array {
  const values = from.get(key);
  if (!values)
    throw new RuntimeError(
      'RUNTIME_INPUT_INVALID',
      'executeProgram',
      `${type} of ${key} comes before what it sends is computed`,
    );
  from.delete(key);
  return values;
}

/** Adds up the gradients of a group in the order of its members, on each of its devices alike. */
async function addUp<Header extends MicrobatchHeader, Tokens, State>(
  { task, id, members, recipients }: GroupExchange,
  stage: Stage<Header, Tokens, State>,
  device: string,
  exchange: Exchange,
): Promise<void> {
  const sum = stage.gradients(task);
  const own = sum.slice();
  if (members.includes(device))
    for (const peer of recipients) if (peer !== device) await exchange.send(peer, 'exchange', id, own);
  const parts: Float32Array[] = [];
  for (const member of members)
    parts.push(member === device ? own : await exchange.receive(member, 'exchange', id));
  for (const [index, part] of parts.entries()) {
    if (part.length !== sum.length)
      throw new RuntimeError(
        'RUNTIME_FRAME_REFUSED',
        'executeProgram',
        `${members[index]} sent ${part.length} gradients of "${task}", expected ${sum.length}`,
      );
    if (index === 0) sum.set(part);
    else for (let i = 0; i < part.length; i++) sum[i]! += part[i]!;
  }
}
