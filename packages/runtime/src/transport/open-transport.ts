/** A transport over any wire: frames, order, credits, signs of life, and one clear error when a peer is lost. */
import { setTimeout } from 'node:timers/promises';

import { createLiveness } from '../liveness.js';
import { RuntimeError } from '../runtime-error.js';
import { decodeFrame, encodeFrame, fitsFrame, type FrameFault, nameBytes } from './frame.js';
import { type LinkFrame, type PeerLink, peerLink } from './peer-link.js';
import type { Transport } from './transport.js';
import type { Lane, OpenWire } from './wire.js';

/** A frame that was refused, and from whom the wire had it. */
export interface RefusedFrame {
  readonly peer: string;
  readonly fault: FrameFault;
  readonly what: string;
}

export interface OpenTransportOptions {
  /** This device's name. */
  readonly device: string;
  /** The devices that it exchanges messages with. */
  readonly peers: readonly string[];
  /** Number of the plan; frames of another are refused. */
  readonly epoch: number;
  /** A random number below 2³², new for each opening, by which a peer that starts again is noticed. */
  readonly session: number;
  /** Monotonic seconds. */
  readonly clock: () => number;
  /** Messages of a channel that may be under way or unread; the same on all devices. */
  readonly window?: number;
  /** Most bytes of a message. */
  readonly messageBytes?: number;
  /** Time between signs of life. */
  readonly beatSeconds?: number;
  /** A peer not heard of for so long is lost. Work that blocks the event loop for longer belongs in another thread. */
  readonly silenceSeconds?: number;
  /** A peer that was never heard of is lost after so long. */
  readonly joinSeconds?: number;
  /** Called for every frame that is refused. */
  readonly onRefused?: (refused: RefusedFrame) => void;
}

/** Small enough that a sign of life never waits long behind one, on a slow link too. */
const partBytes = 65_536;
const nothing = new Uint8Array();
/** Longest wait for a goodbye to leave: a peer that stands still takes none. */
const byeSeconds = 0.5;

/**
 * Opens a transport over a wire. A frame of another epoch and a repeated one are dropped; any other that is refused, a goodbye and a
 * silence end the link to its peer.
 *
 * @throws RuntimeError `RUNTIME_INPUT_INVALID` for options that make no sense; what the wire throws when it cannot be opened.
 */
export async function openTransport(
  openWire: OpenWire,
  {
    device,
    peers,
    epoch,
    session,
    clock,
    window = 2,
    messageBytes = 256 * 2 ** 20,
    beatSeconds = 0.2,
    silenceSeconds = 0.7,
    joinSeconds = 10,
    onRefused = () => undefined,
  }: OpenTransportOptions,
): Promise<Transport> {
  checkOptions({ device, peers, epoch, session, window, messageBytes });
  const limits = { payloadBytes: partBytes, messageBytes };
  const start = clock();
  const liveness = createLiveness({ clock, silenceSeconds, tickSeconds: beatSeconds });
  let closed: RuntimeError | undefined;

  const send = async (peer: string, frame: LinkFrame, lane: Lane): Promise<void> => {
    const bytes = encodeFrame({ ...frame, epoch, session, sender: device });
    try {
      await (await opened).send(peer, bytes, lane);
    } catch (error) {
      lose(peer, `cannot be reached: ${messageOf(error)}`);
      throw links.get(peer)?.ended ?? lost(peer, messageOf(error));
    }
  };
  const links = new Map<string, PeerLink>(
    peers.map((peer) => [
      peer,
      peerLink({
        window,
        limits,
        send: (frame, lane) => send(peer, frame, lane),
        onLeft() {
          lose(peer, 'has left');
        },
      }),
    ]),
  );
  const lose = (peer: string, why: string) => {
    const link = links.get(peer);
    if (link && !link.ended) link.end(lost(peer, why));
  };
  const refuse = (peer: string, fault: FrameFault, what: string) => {
    onRefused({ peer, fault, what });
    if (fault === 'epoch' || fault === 'replayed') return;
    // Whatever it did before, the peer does not know of it.
    if (fault === 'session') lose(peer, 'has started again');
    const link = links.get(peer);
    if (link && !link.ended)
      link.end(
        new RuntimeError(
          'RUNTIME_FRAME_REFUSED',
          'receive',
          `a frame of ${peer} was refused (${fault}): ${what}`,
          {
            device: peer,
          },
        ),
      );
  };
  let beats = 0;
  const say = (peer: string, kind: 'beat' | 'bye', lane: Lane) =>
    send(
      peer,
      { kind, sequence: beats, channel: '', messageBytes: 0, offset: 0, payload: nothing },
      lane,
    ).catch(() => undefined);

  const opened = openWire({
    received(peer, packet) {
      const link = links.get(peer);
      if (!link || link.ended) return;
      const frame = decodeFrame(packet, limits);
      if ('fault' in frame) refuse(peer, frame.fault, frame.what);
      else if (frame.sender !== peer) refuse(peer, 'sender', `it says that it comes from ${frame.sender}`);
      else if (frame.epoch !== epoch) refuse(peer, 'epoch', `it is of epoch ${frame.epoch}, not ${epoch}`);
      else {
        const isFirst = !link.isHeard;
        const refusal = link.accept(frame);
        if (!refusal) liveness.heard(peer);
        if (refusal) refuse(peer, refusal.fault, refusal.what);
        // Its beats may have begun before this device listened; this one tells it that it need not wait for the next.
        else if (isFirst) void say(peer, 'beat', 'control');
      }
    },
    lost: lose,
  });
  await opened;

  const tick = () => {
    beats += 1;
    for (const [peer, link] of links) {
      if (link.ended) continue;
      void say(peer, 'beat', 'control');
      if (!link.isHeard && clock() - start > joinSeconds)
        lose(peer, `was not heard of within ${joinSeconds} s`);
    }
    for (const { name, seconds } of liveness.silent())
      lose(name, `has been silent for ${seconds.toFixed(1)} s`);
  };
  tick();
  const timer = setInterval(tick, beatSeconds * 1000);

  const linkTo = (peer: string, channel: string, where: string): PeerLink => {
    if (closed) throw closed;
    const link = links.get(peer);
    if (!link)
      throw new RuntimeError(
        'RUNTIME_INPUT_INVALID',
        where,
        `${peer} is not among the peers of ${device}: ${peers.join(', ')}`,
      );
    if (nameBytes(channel).length > 255)
      throw new RuntimeError(
        'RUNTIME_INPUT_INVALID',
        where,
        `the channel name ${channel} is longer than 255 bytes`,
      );
    return link;
  };
  return {
    device,
    async send(peer, channel, bytes) {
      if (bytes.length > messageBytes)
        throw new RuntimeError(
          'RUNTIME_INPUT_INVALID',
          'send',
          `a message to ${peer} on ${channel} has ${bytes.length} bytes of at most ${messageBytes}; raise messageBytes on all devices`,
        );
      await linkTo(peer, channel, 'send').outgoing(channel).send(bytes);
    },
    async receive(peer, channel, { signal } = {}) {
      const aborted = () =>
        new RuntimeError('RUNTIME_ABORTED', 'receive', `waiting for ${channel} of ${peer} was stopped`);
      const incoming = linkTo(peer, channel, 'receive').incoming(channel);
      if (signal?.aborted) throw aborted();
      let onAbort: () => void = () => undefined;
      try {
        return await incoming.receive((end) => {
          onAbort = () => {
            end(aborted());
          };
          signal?.addEventListener('abort', onAbort);
        });
      } finally {
        signal?.removeEventListener('abort', onAbort);
      }
    },
    async [Symbol.asyncDispose]() {
      if (closed) return;
      clearInterval(timer);
      closed = new RuntimeError('RUNTIME_ABORTED', 'transport', `the transport of ${device} is closed`, {
        device,
      });
      const alive = [...links].filter(([, { ended }]) => !ended);
      for (const [, link] of alive) link.end(closed);
      // On the lane of the data, so that it is the last that a peer hears.
      const listening = alive.filter(([, { isHeard }]) => isHeard);
      await Promise.race([
        Promise.all(listening.map(([peer]) => say(peer, 'bye', 'bulk'))),
        setTimeout(byeSeconds * 1000, undefined, { ref: false }),
      ]);
      await (await opened)[Symbol.asyncDispose]();
    },
  };
}

const lost = (peer: string, why: string) =>
  new RuntimeError('RUNTIME_PEER_LOST', 'transport', `${peer} ${why}`, { device: peer });

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function checkOptions({
  device,
  peers,
  epoch,
  session,
  window,
  messageBytes,
}: Pick<OpenTransportOptions, 'device' | 'peers' | 'epoch' | 'session'> & {
  readonly window: number;
  readonly messageBytes: number;
}): void {
  const problems: string[] = [];
  for (const [name, value] of Object.entries({ epoch, session, messageBytes }))
    if (!fitsFrame(value)) problems.push(`${name} must be an integer from 0 to 2³² - 1, got ${value}`);
  if (!Number.isInteger(window) || window < 1) problems.push(`window must be at least 1, got ${window}`);
  for (const name of [device, ...peers])
    if (name === '' || nameBytes(name).length > 255)
      problems.push(`names of devices have 1 to 255 bytes, got "${name}"`);
  if (peers.includes(device)) problems.push(`${device} is among its own peers`);
  if (new Set(peers).size < peers.length) problems.push('a peer is named twice');
  if (problems.length > 0)
    throw new RuntimeError('RUNTIME_INPUT_INVALID', 'openTransport', problems.join('; '));
}
