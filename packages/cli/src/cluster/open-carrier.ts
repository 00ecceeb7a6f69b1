/** This device's way to the others of a plan. */
import { randomInt } from 'node:crypto';

import { openTransport, type RefusedFrame, type Transport } from '@contextlora/runtime';
import { announceEndpoint, type ClusterPlan, findEndpoint, peersOf } from '@contextlora/runtime/engine';

import { loadGrpc, loadNats } from './load-runtime.js';
import type { OpenedEngine } from './open-engine.js';

export interface OpenCarrierOptions {
  readonly epoch: number;
  /** Address at which the others reach this device directly. */
  readonly host: string;
  /** Monotonic seconds. */
  readonly clock: () => number;
  readonly onRefused: (refused: RefusedFrame) => void;
}

/** Computing holds up this process; the coordinator, who is told for how long, notices a lost worker far earlier. */
const silenceSeconds = 60;

export async function openCarrier(
  { engine, server, identity }: OpenedEngine,
  plan: ClusterPlan,
  { epoch, host, clock, onRefused }: OpenCarrierOptions,
): Promise<Transport> {
  const { device } = engine.messages;
  const peers = peersOf(plan, device);
  const tls = identity && { tls: identity.tls };
  const { connectNats, natsWire } = await loadNats();
  const wire =
    plan.carrier === 'nats'
      ? natsWire({
          device,
          peers,
          run: plan.run,
          connect: () => connectNats(server, { name: device, reconnect: false, ...tls }),
        })
      : (await loadGrpc()).grpcWire({
          device,
          peers,
          host,
          announce: (endpoint) => announceEndpoint(engine, { epoch, endpoint, sequence: epoch }),
          endpointOf: (peer, signal) => findEndpoint(engine, { epoch, peer, signal }),
          ...tls,
        });
  return openTransport(wire, {
    device,
    peers,
    epoch,
    session: randomInt(2 ** 32),
    clock,
    silenceSeconds,
    onRefused,
  });
}
