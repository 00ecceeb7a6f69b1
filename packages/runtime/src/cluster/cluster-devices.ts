/** A coordinator's part in a cluster: who works for its run, decided anew before every phase and after every loss. */
import type { Engine } from '../engine/engine.js';
import { type Member, watchMembers } from '../engine/membership.js';
import { proposePlan, readEpoch } from '../engine/plans.js';
import type { PipelineDevices } from '../pipeline/pipeline-options.js';
import { RuntimeError } from '../runtime-error.js';
import type { Transport } from '../transport/transport.js';
import type { ClusterPlan } from './cluster-plan.js';

export interface ClusterDevicesOptions extends Pick<ClusterPlan, 'run' | 'carrier'> {
  /** What a plan tells workers of the model. */
  readonly work: () => unknown;
  /** Opens this device's transport for a plan. */
  readonly open: (plan: ClusterPlan, epoch: number) => Promise<Transport>;
  /** Monotonic seconds. */
  readonly clock: () => number;
  /** Told of every plan that comes into force. */
  readonly onPlan?: (plan: ClusterPlan, epoch: number) => void;
}

export interface ClusterDevices extends AsyncDisposable {
  /** The workers that are there, whatever they do. */
  members(): readonly Member[];
  /**
   * Makes a plan with those of `left` and the workers that have joined since, unless that is the plan in force. Where none has joined, those
   * that are left keep their connections.
   *
   * @throws RuntimeError `RUNTIME_CLUSTER_BUSY` if the cluster works on another run or has got a plan of another coordinator,
   * `RUNTIME_PEER_LOST` if no worker is there.
   */
  connect(left: readonly string[]): Promise<PipelineDevices>;
}

/** The disposal ends the plan, and with it the work of all devices. */
export function openClusterDevices(
  engine: Engine,
  { run, carrier, work, open, clock, onPlan = () => undefined }: ClusterDevicesOptions,
): ClusterDevices {
  const coordinator = engine.messages.device;
  const stop = new AbortController();
  /** Devices given up, until their leases have ended: of a device that stands still the lease outlasts the work. */
  const lost = new Set<string>();
  let there: readonly Member[] = [];
  let failure: { readonly error: unknown } | undefined;
  let current:
    { readonly plan: ClusterPlan; readonly epoch: number; readonly transport: Transport } | undefined;
  const watching = (async () => {
    for await (const members of watchMembers(engine, { clock, signal: stop.signal })) {
      there = members.filter(({ device }) => device !== coordinator);
      for (const device of lost) if (!there.some((member) => member.device === device)) lost.delete(device);
    }
  })().catch((error: unknown) => {
    failure = { error };
  });

  const propose = async (plan: ClusterPlan): Promise<number> => {
    const record = await proposePlan(engine, plan, { after: current?.epoch ?? (await readEpoch(engine)) });
    if (record) {
      onPlan(plan, record.epoch);
      return record.epoch;
    }
    throw busy('another coordinator has made a plan for the cluster meanwhile');
  };
  const requireFree = () => {
    const other = there.find((member) => member.run !== undefined && member.run !== run);
    if (!current && other) throw busy(`${other.device} works on ${other.run}`);
  };

  return {
    members: () => there,
    async connect(left) {
      if (failure) throw failure.error;
      requireFree();
      for (const device of current?.plan.devices ?? []) if (!left.includes(device)) lost.add(device);
      const joined = there
        .map(({ device }) => device)
        .filter((name) => !left.includes(name) && !lost.has(name));
      const devices = [...left, ...joined].sort();
      if (devices.length === 0)
        throw new RuntimeError(
          'RUNTIME_PEER_LOST',
          'connect',
          'no worker is there; "contextlora worker" adds one',
        );
      if (current && joined.length === 0) {
        if (devices.length < current.plan.devices.length) {
          const { since = current.epoch } = current.plan;
          const plan = { ...current.plan, devices, since };
          current = { ...current, plan, epoch: await propose(plan) };
        }
        return { transport: current.transport, devices };
      }
      const plan: ClusterPlan = { run, coordinator, devices, carrier, work: work() };
      const epoch = await propose(plan);
      await current?.transport[Symbol.asyncDispose]();
      current = { plan, epoch, transport: await open(plan, epoch) };
      return { transport: current.transport, devices };
    },
    async [Symbol.asyncDispose]() {
      if (stop.signal.aborted) return;
      stop.abort();
      await watching;
      if (!current) return;
      // Whoever made another plan meanwhile has ended this one.
      const { plan, epoch, transport } = current;
      await proposePlan(engine, { ...plan, devices: [] }, { after: epoch }).catch(() => undefined);
      await transport[Symbol.asyncDispose]();
    },
  };
}

const busy = (what: string) =>
  new RuntimeError(
    'RUNTIME_CLUSTER_BUSY',
    'connect',
    `${what}; a cluster works on one run at a time, so wait until it is free`,
  );
