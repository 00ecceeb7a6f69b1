/** Everything between this device and one peer: its channels, its credits, and what it may send. */
import type { RuntimeError } from '../runtime-error.js';
import type { Frame, FrameKind, FrameLimits, FrameRefusal } from './frame.js';
import { incomingChannel, type IncomingChannel } from './incoming-channel.js';
import { outgoingChannel, type OutgoingChannel } from './outgoing-channel.js';
import type { Lane } from './wire.js';

/** The parts of a frame that differ between the frames of one link. */
export type LinkFrame = Pick<Frame, 'sequence' | 'channel' | 'messageBytes' | 'offset' | 'payload'> & {
  readonly kind: FrameKind;
};

export interface PeerLink {
  /** Whether the peer was heard of. */
  readonly isHeard: boolean;
  readonly ended: RuntimeError | undefined;
  outgoing(channel: string): OutgoingChannel;
  incoming(channel: string): IncomingChannel;
  /** Acts on a frame of this peer and epoch, or says why not. */
  accept(frame: Frame): FrameRefusal | undefined;
  /** Ends all waiting with the error. */
  end(error: RuntimeError): void;
}

/** More channels than any schedule has; a peer cannot make this device remember more. */
const mostChannels = 65_536;
const nothing = new Uint8Array();

/** `send` puts a frame on the wire; `onLeft` is called when the peer says goodbye. */
export function peerLink({
  window,
  limits,
  send,
  onLeft,
}: {
  readonly window: number;
  readonly limits: FrameLimits;
  readonly send: (frame: LinkFrame, lane: Lane) => Promise<void>;
  readonly onLeft: () => void;
}): PeerLink {
  const outgoingChannels = new Map<string, OutgoingChannel>();
  const incomingChannels = new Map<string, IncomingChannel>();
  let session: number | undefined;
  let ended: RuntimeError | undefined;
  const link: PeerLink = {
    get isHeard() {
      return session !== undefined;
    },
    get ended() {
      return ended;
    },
    outgoing(name) {
      let channel = outgoingChannels.get(name);
      if (!channel) {
        channel = outgoingChannel({
          window,
          partBytes: limits.payloadBytes,
          transmit: (payload, place) => send({ kind: 'data', channel: name, payload, ...place }, 'bulk'),
        });
        outgoingChannels.set(name, channel);
        if (ended) channel.end(ended);
        else if (link.isHeard) channel.open();
      }
      return channel;
    },
    incoming(name) {
      let channel = incomingChannels.get(name);
      if (!channel) {
        channel = incomingChannel({
          window,
          onRead: (sequence) =>
            void send(
              { kind: 'credit', channel: name, sequence, messageBytes: 0, offset: 0, payload: nothing },
              'control',
            ).catch(() => undefined),
        });
        incomingChannels.set(name, channel);
        if (ended) channel.end(ended);
      }
      return channel;
    },
    accept(frame) {
      const isFirst = !link.isHeard;
      session ??= frame.session;
      if (frame.session !== session)
        return {
          fault: 'session',
          what: `it comes from session ${frame.session} of the peer, not ${session}`,
        };
      if (isFirst) for (const channel of outgoingChannels.values()) channel.open();
      switch (frame.kind) {
        case 'beat':
          return undefined;
        case 'bye':
          onLeft();
          return undefined;
        case 'credit':
          return outgoingChannels.get(frame.channel)?.credit(frame.sequence)
            ? undefined
            : {
                fault: 'beyond-credit',
                what: `it tells of ${frame.sequence} messages read on channel ${frame.channel}, more than were sent`,
              };
        case 'data':
          if (incomingChannels.size >= mostChannels && !incomingChannels.has(frame.channel))
            return { fault: 'oversized', what: `the peer has opened more than ${mostChannels} channels` };
          return link.incoming(frame.channel).accept(frame);
        default:
          return frame.kind satisfies never;
      }
    },
    end(error) {
      ended = error;
      for (const channel of [...outgoingChannels.values(), ...incomingChannels.values()]) channel.end(error);
    },
  };
  return link;
}
