/**
 * Turns placements and a policy into a schedule: the policy orders compute, passes add the rest, and the finished whole is validated.
 */
import type { CostModel } from '../cost/cost-model.js';
import type { DeviceProgram, Instruction, Schedule } from './schedule.js';
import { addCache } from './passes/add-cache.js';
import { addTransfers } from './passes/add-transfers.js';
import { addUpdates } from './passes/add-updates.js';
import type { Pass } from './passes/pass.js';
import type { Placement } from './placement.js';
import { contextGear } from './policies/context-gear.js';
import type { ComputeStep, Policy, PolicyContext } from './policies/policy.js';

export interface BuildScheduleOptions {
  readonly policy?: Policy;
  readonly steps?: number;
  readonly window?: number;
  /** Tasks whose frozen prefix is written to, or comes from, an activation cache. */
  readonly cache?: Readonly<Record<string, 'write' | 'read'>>;
  /** Passes that run after the standard ones. */
  readonly passes?: readonly Pass[];
}

/** The schedule of placements on disjoint devices. */
export function buildSchedule(
  costs: CostModel,
  placements: readonly Placement[],
  { policy = contextGear, steps = 1, window = 2, cache = {}, passes = [] }: BuildScheduleOptions = {},
): Schedule {
  const programs = placements.flatMap((placement, placementIndex) => {
    const context: PolicyContext = {
      costs,
      placement,
      sampleShares: costs.sharesOf(placement),
      steps,
      window,
    };
    const caching = Object.keys(cache).length > 0 ? [addCache(cache)] : [];
    const done = [addTransfers, addUpdates, ...caching, ...passes].reduce(
      (current, pass) => pass(current, { ...context, placementIndex, fusedBackward: policy.fusedBackward }),
      computeOnly(policy.order(context), context),
    );
    return placement.stages.flatMap(({ members }, stage) =>
      members.map(({ device }, member): DeviceProgram => ({
        device,
        placement: placementIndex,
        stage,
        instructions: done[stage]![member]!,
      })),
    );
  });
  return { policy: policy.name, fusedBackward: policy.fusedBackward, placements, steps, window, programs };
}

function computeOnly(
  orders: ComputeStep[][][],
  { placement, sampleShares }: PolicyContext,
): Instruction[][][] {
  return placement.stages.map(({ members }, stage) =>
    members.map((_, member) => {
      const program: Instruction[] = [];
      for (const { type, task, step, microbatch } of orders[stage]![member]!) {
        const samples = sampleShares[task]![stage]![microbatch]![member]!;
        if (samples === 0) continue;
        program.push({ type, task: placement.tasks[task]!, step, microbatch, samples });
      }
      return program;
    }),
  );
}
