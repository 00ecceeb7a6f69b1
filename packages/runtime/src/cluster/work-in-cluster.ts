/** A worker's part in a cluster: it carries out one plan after the other. */
import type { Engine } from '../engine/engine.js';
import { type PlanRecord, watchPlans } from '../engine/plans.js';
import { RuntimeError } from '../runtime-error.js';
import type { Transport } from '../transport/transport.js';
import { checkClusterPlan, type ClusterPlan } from './cluster-plan.js';

export type WorkEvent =
  | { readonly type: 'begins'; readonly epoch: number; readonly plan: ClusterPlan }
  /** A plan with fewer devices takes the place of the one that is carried out, over the same connections. */
  | { readonly type: 'continues'; readonly epoch: number; readonly plan: ClusterPlan }
  /** The plan gives this device nothing to do. */
  | { readonly type: 'spared'; readonly epoch: number }
  /** `problem` says why it ended early. */
  | { readonly type: 'ended'; readonly epoch: number; readonly problem?: string };

/**
 * Waits for plans until the signal. `open` opens this device's transport for a plan, and `serve` does its work over it until the coordinator
 * needs it no longer. A newer plan ends the work on the one before, unless it goes on with its connections.
 */
export async function* workInCluster(
  engine: Engine,
  {
    open,
    serve,
    signal,
  }: {
    readonly open: (plan: ClusterPlan, epoch: number, signal: AbortSignal) => Promise<Transport>;
    readonly serve: (transport: Transport, plan: ClusterPlan) => Promise<void>;
    readonly signal: AbortSignal;
  },
): AsyncGenerator<WorkEvent, void> {
  const { device } = engine.messages;
  const plans = watchPlans(engine, signal);
  const nextPlan = () => {
    const coming = plans.next();
    // It is awaited below; by then it may have failed.
    coming.catch(() => undefined);
    return coming;
  };
  let next = nextPlan();
  for (;;) {
    const { value: record, done } = await next;
    if (done) return;
    next = nextPlan();
    const { epoch: begun } = record;
    const plan = planOf(record);
    if (typeof plan === 'string') yield { type: 'ended', epoch: begun, problem: plan };
    // One that goes on with connections of which this device has none is none of its business.
    else if (!plan.devices.includes(device) || plan.since !== undefined)
      yield { type: 'spared', epoch: begun };
    else {
      yield { type: 'begins', epoch: begun, plan };
      const over = new AbortController();
      const working = carryOut(plan, begun, { open, serve, signal: over.signal });
      let epoch = begun;
      for (let isOver = false; !isOver;) {
        const newer = await Promise.race([working.then(() => undefined), newerPlan(next)]);
        const following = typeof newer === 'object' ? planOf(newer) : undefined;
        if (
          typeof following === 'object' &&
          following.since === begun &&
          following.devices.includes(device)
        ) {
          next = nextPlan();
          epoch = (newer as PlanRecord).epoch;
          yield { type: 'continues', epoch, plan: following };
        } else {
          isOver = true;
          over.abort(typeof newer === 'object' ? 'another plan took its place' : newer);
        }
      }
      const problem = await working;
      yield { type: 'ended', epoch, ...(problem !== undefined && { problem }) };
    }
  }
}

/** The next plan, or why there is none. */
const newerPlan = async (next: Promise<IteratorResult<PlanRecord, void>>): Promise<PlanRecord | string> => {
  try {
    const { value, done } = await next;
    return done ? 'it was stopped' : value;
  } catch {
    return 'the cluster cannot be reached';
  }
};
const planOf = ({ plan }: PlanRecord): ClusterPlan | string => {
  try {
    return checkClusterPlan(plan);
  } catch (error) {
    return (error as Error).message;
  }
};

/** Why it ended early, if it did. The signal, whose reason says why, ends it by closing its transport. */
async function carryOut(
  plan: ClusterPlan,
  epoch: number,
  { open, serve, signal }: Parameters<typeof workInCluster>[1],
): Promise<string | undefined> {
  try {
    await using transport = await open(plan, epoch, signal);
    const close = () => void transport[Symbol.asyncDispose]();
    signal.addEventListener('abort', close);
    try {
      if (!signal.aborted) await serve(transport, plan);
    } finally {
      signal.removeEventListener('abort', close);
    }
    return signal.aborted ? String(signal.reason) : undefined;
  } catch (error) {
    if (signal.aborted) return String(signal.reason);
    if (error instanceof RuntimeError) return error.message;
    throw error;
  }
}
