/** A device's way to its peers: frames arrive whole, in order per peer and channel, each once. */
export interface Transport extends AsyncDisposable {
  readonly device: string;
  /**
   * Resolves once the peer has credit for the frame: at most `window` frames of a channel are under way or unread. The bytes are taken
   * over, so that the sender must not use them afterwards.
   *
   * @throws RuntimeError `RUNTIME_PEER_LOST` when the peer is lost, `RUNTIME_ABORTED` when the transport is disposed of.
   */
  send(peer: string, channel: string, bytes: Uint8Array): Promise<void>;
  /**
   * The next frame of a channel; frames that came before the peer was lost are still given.
   *
   * @throws RuntimeError `RUNTIME_PEER_LOST` when the peer is lost, `RUNTIME_ABORTED` by the signal or when the transport is disposed of.
   */
  receive(peer: string, channel: string, options?: { readonly signal?: AbortSignal }): Promise<Uint8Array>;
}
