/** One gRPC stream of packets, with backpressure. */
import { once } from 'node:events';

import type { ClientDuplexStream, ServerDuplexStream } from '@grpc/grpc-js';

export type PacketCall = ClientDuplexStream<Buffer, Buffer> | ServerDuplexStream<Buffer, Buffer>;

export interface PacketStream {
  /** Resolves when the next packet may be sent, rejects when the stream has ended. */
  write(packet: Uint8Array): Promise<void>;
  /** Ends this side, and resolves when the other has ended its own. */
  end(): Promise<void>;
}

/** `onEnd` is called once, when nothing more will come. */
export function packetStream(
  call: PacketCall,
  { onPacket, onEnd }: { readonly onPacket: (packet: Buffer) => void; readonly onEnd: (why: string) => void },
): PacketStream {
  const over = new AbortController();
  let drained: Promise<unknown> | undefined;
  const finish = (why: string) => {
    if (over.signal.aborted) return;
    over.abort(new Error(why));
    onEnd(why);
  };
  call.on('data', onPacket);
  call.on('error', (error: Error) => {
    finish(error.message);
  });
  // A side that has been ended ends its own, which tells the other that everything was read.
  call.on('end', () => call.end());
  for (const event of ['end', 'close', 'cancelled'])
    call.on(event, () => {
      finish('the connection has ended');
    });
  return {
    async write(packet) {
      over.signal.throwIfAborted();
      const { buffer, byteOffset, byteLength } = packet;
      if (call.write(Buffer.from(buffer, byteOffset, byteLength))) return;
      // One wait for all that wait; a listener each would be a leak.
      drained ??= once(call, 'drain', { signal: over.signal }).finally(() => {
        drained = undefined;
      });
      await drained;
    },
    async end() {
      call.end();
      if (!over.signal.aborted) await once(over.signal, 'abort');
    },
  };
}
