/** What happens in a cluster, told to all: kept in order, newest last. */
import { openOnce } from '../security/control-messages.js';
import type { Engine } from './engine.js';

export interface ClusterEvent {
  readonly device: string;
  readonly epoch: number;
  readonly event: unknown;
}

const place = 'events';

/** Tells events; `firstSequence` as in `joinCluster`. */
export function eventTeller(
  { store, messages }: Engine,
  { firstSequence }: { readonly firstSequence: number },
): (event: unknown, epoch: number) => Promise<void> {
  let sequence = firstSequence;
  return (event, epoch) =>
    store.log.append(messages.seal(place, { epoch, sequence: sequence++, body: event }));
}

/** The events kept, then every new one, until the signal. */
export async function* followEvents(
  { store, messages, onRefused = () => undefined }: Engine,
  signal: AbortSignal,
): AsyncGenerator<ClusterEvent, void> {
  const open = openOnce(messages);
  for await (const record of store.log.follow(signal)) {
    const message = open(place, record);
    if ('fault' in message) onRefused(message);
    else yield { device: message.sender, epoch: message.epoch, event: message.body };
  }
}
