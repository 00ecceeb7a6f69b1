/** What a driver of transports brings: packets to and from peers. Frames, order, credits and signs of life are built on it. */

/** `bulk` carries data in order; `control` carries what must not wait behind it: credits and signs of life. */
export type Lane = 'bulk' | 'control';

export interface Wire extends AsyncDisposable {
  /** Sends one packet; resolves when the next may be sent, rejects when the peer cannot be reached. Packets of a lane arrive in order. */
  send(peer: string, packet: Uint8Array, lane: Lane): Promise<void>;
}

export interface WireListener {
  /** A packet of a peer that the wire knows to be that peer. It is read at once, and may be reused afterwards. */
  readonly received: (peer: string, packet: Uint8Array) => void;
  /** The wire to a peer is gone; what was received before is still good. */
  readonly lost: (peer: string, why: string) => void;
}

/** Opens a wire whose packets go to `listener`. */
export type OpenWire = (listener: WireListener) => Promise<Wire>;
