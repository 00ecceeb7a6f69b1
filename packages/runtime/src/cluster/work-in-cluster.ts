/** A worker's part in a cluster: it carries out one plan after the other. */
import type { Engine } from '../engine/engine.js';
import { type PlanRecord, watchPlans } from '../engine/plans.js';
import { RuntimeError } from '../runtime-error.js';
import type { Transport } from '../transport/transport.js';
import { checkClusterPlan, type ClusterPlan } from './cluster-plan.js';

export type WorkEvent =
  | { readonly type: 'begins'; readonly epoch: number; readonly plan: ClusterPlan }
  /** The plan gives this device nothing to do. */
  | { readonly type: 'spared'; readonly epoch: number }
  /** `problem` says why it ended early. */
  | { readonly type: 'ended'; readonly epoch: number; readonly problem?: string };

/**
 * Waits for plans until the signal. `open` opens this device's transport for a plan, and `serve` does its work over it until the coordinator
 * needs it no longer. A newer plan ends the work on the one before.
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
    const { epoch } = record;
    const plan = planOf(record);
    if (typeof plan === 'string') yield { type: 'ended', epoch, problem: plan };
    else if (!plan.devices.includes(engine.messages.device)) yield { type: 'spared', epoch };
    else {
      yield { type: 'begins', epoch, plan };
      const over = new AbortController();
      void next.then(
        (newer) => {
          over.abort(newer.done ? 'it was stopped' : 'another plan took its place');
        },
        () => {
          over.abort('the cluster cannot be reached');
        },
      );
      const problem = await carryOut(plan, epoch, { open, serve, signal: over.signal });
      yield { type: 'ended', epoch, ...(problem !== undefined && { problem }) };
    }
  }
}

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
