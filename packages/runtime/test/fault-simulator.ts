/**
 * A small training run on a virtual clock, in which one fault happens: at a message that is sent, or at a computation.
 *
 * Every run ends with the result of the run without a fault, or in one clear error.
 */
import { type PipelineEvent, RuntimeError, type Transport } from '@contextlora/runtime';

import { openToyPipeline, placeToy, toyExamples } from './toy-pipeline.js';
import type { ToyModel } from './toy-stage.js';
import { virtualClock } from './virtual-clock.js';

export const faultKinds = ['crash', 'freeze', 'partition', 'slow', 'error'] as const;
export type FaultKind = (typeof faultKinds)[number];

export interface Fault {
  readonly kind: FaultKind;
  /** Counted from 0 over all devices. */
  readonly at: number;
  readonly what: 'message' | 'computation';
}

export interface SimulatedRun {
  readonly messages: number;
  readonly computations: number;
  /** The device at fault, if the fault happened. */
  readonly device: string | undefined;
  readonly outcome: 'same result' | 'workers ended' | 'other result' | 'clear error' | 'hang' | 'other error';
  readonly detail: string;
  /** From the fault until a device was given up. */
  readonly noticedSeconds: number | undefined;
  readonly stepsRepeated: number;
}

const model: ToyModel = { width: 2, layers: 4, tasks: { road: 2 } };
const phase = { tasks: ['road'], roles: { road: { road: 'train' as const } } };
const devices = ['a', 'b', 'c'];
const cuts = [[], [3], [2, 4]];
const computeSeconds = 0.05;
/** After which the ends of a link that is cut notice it, as transports over a network do. */
const cutNoticedSeconds = 0.7;
const steps = 2;

export async function simulateFault(fault?: Fault, expected?: string): Promise<SimulatedRun> {
  const clock = virtualClock();
  let [messages, computations, stepsRepeated] = [0, 0, 0];
  let [device, happenedAt, noticedSeconds] = [undefined, undefined, undefined] as [
    string | undefined,
    number | undefined,
    number | undefined,
  ];
  const frozen = new Set<string>();
  const cut = new Set<string>();
  const never = new Promise<never>(() => undefined);
  const wayOf = (from: string, to: string) => [from, to].sort().join(' ');

  const strike = (name: string, peer: string, inner: { lose(): void } | undefined) => {
    [device, happenedAt] = [name, clock.now()];
    if (fault?.kind === 'crash') inner?.lose();
    if (fault?.kind === 'crash' || fault?.kind === 'freeze') frozen.add(name);
    if (fault?.kind === 'partition') cut.add(wayOf(name, peer));
  };
  const throughCuts = async <T>(
    name: string,
    peer: string,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> => {
    const stop = new AbortController();
    const watching = (async () => {
      while (!stop.signal.aborted && !cut.has(wayOf(name, peer))) await clock.sleep(0.1, stop.signal);
      if (stop.signal.aborted) return await never;
      await clock.sleep(cutNoticedSeconds, stop.signal);
      throw new RuntimeError('RUNTIME_PEER_LOST', 'transport', `${peer} has been silent`, { device: peer });
    })();
    watching.catch(() => undefined);
    try {
      return await Promise.race([work(stop.signal), watching]);
    } finally {
      stop.abort();
    }
  };
  const losers = new Map<string, { lose(): void }>();
  const wrap = (inner: Transport & { lose(): void }): Transport => {
    const { device: name } = inner;
    losers.set(name, inner);
    return {
      device: name,
      async send(peer, channel, bytes) {
        if (frozen.has(name)) return await never;
        const number = messages++;
        if (fault?.what === 'message' && fault.at === number) {
          strike(name, peer, inner);
          if (fault.kind === 'slow') await clock.sleep(3);
        }
        if (frozen.has(name)) return await never;
        await throughCuts(name, peer, () =>
          cut.has(wayOf(name, peer)) ? never : inner.send(peer, channel, bytes),
        );
      },
      async receive(peer, channel, { signal } = {}) {
        const bytes = await throughCuts(name, peer, (stop) =>
          inner.receive(peer, channel, { signal: signal ? AbortSignal.any([signal, stop]) : stop }),
        );
        return frozen.has(name) ? await never : bytes;
      },
      [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
    };
  };

  const onEvent = (event: PipelineEvent) => {
    if (event.type === 'lost') noticedSeconds ??= clock.now() - (happenedAt ?? NaN);
    if (event.type === 'recovered') stepsRepeated += event.stepsRepeated;
  };
  const { pipeline, served } = openToyPipeline(model, devices, {
    clock,
    wrap,
    onEvent,
    firstSeconds: 0,
    place: (left, tasks) => placeToy(model, left, tasks, { cuts: cuts[left.length - 1]! }),
    async before(name, what) {
      const number = computations++;
      if (fault?.what === 'computation' && fault.at === number) {
        strike(
          name,
          devices.find((other) => other !== name)!,
          losers.get(name),
        );
        if (fault.kind === 'error') throw new Error(`cannot ${what}`);
        if (fault.kind === 'slow') await clock.sleep(3);
      }
      if (frozen.has(name)) await never;
      await clock.sleep(computeSeconds);
    },
  });
  const train = async () => {
    await pipeline.setPhase(phase);
    const examples = toyExamples(2, model.width);
    let results = '';
    for (let step = 0; step < steps; step++) {
      const { loss, gradientNorm } = await pipeline.step(
        'road',
        examples.map((one) => [one]),
        { learningRate: 0.1 },
      );
      results += ` ${loss} ${gradientNorm}`;
    }
    return `${await pipeline.hashSegment('road')}${results}`;
  };
  /** A coordinator that is gone takes the run with it; then its workers end. */
  const abandoned = (async () => {
    while (device !== 'coordinator' || fault?.kind !== 'crash') await clock.sleep(0.5);
    await served;
    return 'workers ended';
  })();
  let outcome: SimulatedRun['outcome'];
  let detail: string;
  try {
    detail = await clock.play(Promise.race([train(), abandoned]), 120);
    if (detail === 'workers ended') outcome = detail;
    else outcome = expected === undefined || detail === expected ? 'same result' : 'other result';
  } catch (error) {
    detail = error instanceof Error ? error.message : String(error);
    outcome =
      error instanceof RuntimeError ? 'clear error' : detail.startsWith('hang') ? 'hang' : 'other error';
  }
  return { messages, computations, device, outcome, detail, noticedSeconds, stepsRepeated };
}

/** The runs with one fault of a kind each: at every computation and, where the kind allows it, at every message; or at every n-th of both. */
export async function* simulateFaults(
  kind: FaultKind,
  { everyComputation = 1, everyMessage = 1 } = {},
): AsyncGenerator<SimulatedRun & { readonly fault: Fault }> {
  const { messages, computations, detail } = await simulateFault();
  const points = [
    ...Array.from({ length: computations }, (_, at): Fault => ({ kind, at, what: 'computation' })),
    ...(kind === 'error'
      ? []
      : Array.from({ length: messages }, (_, at): Fault => ({ kind, at, what: 'message' }))),
  ];
  for (const fault of points.filter(
    ({ what, at }) => at % (what === 'computation' ? everyComputation : everyMessage) === 0,
  ))
    yield { fault, ...(await simulateFault(fault, detail)) };
}

/** What is wrong with the way a run ended; empty where all is well. */
export function judge({
  fault,
  device,
  outcome,
  detail,
  noticedSeconds = 0,
  stepsRepeated,
}: SimulatedRun & { readonly fault: Fault }): string[] {
  const { kind } = fault;
  const isWell =
    outcome === 'same result' ||
    (outcome === 'clear error' && kind === 'error') ||
    (outcome === 'workers ended' && kind === 'crash') ||
    (device === 'coordinator' && kind === 'crash' && outcome === 'clear error') ||
    // Nobody is left who could notice.
    (device === 'coordinator' && kind === 'freeze');
  const where = `${kind} of ${device} at ${fault.what} ${fault.at}`;
  return [
    ...(isWell ? [] : [`${where}: ${outcome}: ${detail}`]),
    ...(noticedSeconds > 1 ? [`${where}: noticed after ${noticedSeconds.toFixed(2)} s`] : []),
    ...(stepsRepeated > 1 ? [`${where}: ${stepsRepeated} steps repeated`] : []),
  ];
}
