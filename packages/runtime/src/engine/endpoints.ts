/** Where the devices of a plan listen. */
import { RuntimeError } from '../runtime-error.js';
import type { Engine } from './engine.js';
import { keyToken } from './key-token.js';

const placeOf = (epoch: number, device: string) => `endpoints.${epoch}.${keyToken(device)}`;

/** Tells where this device listens in an epoch, as `host:port`. */
export async function announceEndpoint(
  { store, messages }: Engine,
  {
    epoch,
    endpoint,
    sequence,
  }: { readonly epoch: number; readonly endpoint: string; readonly sequence: number },
): Promise<void> {
  const place = placeOf(epoch, messages.device);
  await store.state.write(place, messages.seal(place, { epoch, sequence, body: endpoint }));
}

/** Where a peer listens in an epoch; waits until it has told. @throws RuntimeError `RUNTIME_ABORTED` by the signal. */
export async function findEndpoint(
  { store, messages, onRefused = () => undefined }: Engine,
  { epoch, peer, signal }: { readonly epoch: number; readonly peer: string; readonly signal: AbortSignal },
): Promise<string> {
  const wanted = placeOf(epoch, peer);
  for await (const { key, value } of store.state.watch(`endpoints.${epoch}`, signal)) {
    if (key !== wanted || !value) continue;
    const message = messages.open(wanted, value);
    if ('fault' in message) onRefused(message);
    else if (message.sender !== peer)
      onRefused({ place: wanted, fault: 'misplaced', what: `it was written by ${message.sender}` });
    else if (message.epoch !== epoch)
      onRefused({ place: wanted, fault: 'epoch', what: `it is of epoch ${message.epoch}` });
    else if (typeof message.body === 'string') return message.body;
  }
  throw new RuntimeError('RUNTIME_ABORTED', 'findEndpoint', `waiting for where ${peer} listens was stopped`);
}
