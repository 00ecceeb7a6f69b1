/** The one error class of this package. */

/** What can be wrong, for callers to branch on. */
export type RuntimeErrorCode =
  /** An argument or option makes no sense; the message lists all that is wrong. */
  | 'RUNTIME_INPUT_INVALID'
  /** A device left, died, or has not been heard of for too long; `device` says which. */
  | 'RUNTIME_PEER_LOST'
  /** A frame is damaged, too large, of another epoch, or not the one that the schedule expects. */
  | 'RUNTIME_FRAME_REFUSED'
  /** A stage failed at an instruction; the cause is its error. */
  | 'RUNTIME_STAGE_FAILED'
  /** What can be reached over a network would be used without TLS, or what proves a device is missing or wrong. */
  | 'RUNTIME_INSECURE'
  /** The server of a cluster cannot be reached, or does not let this device in. */
  | 'RUNTIME_SERVER_UNREACHABLE'
  /** What steers a cluster was written by somebody who may not. */
  | 'RUNTIME_MESSAGE_REFUSED'
  /** An object of the cluster's store is missing, or its bytes are others than they were. */
  | 'RUNTIME_OBJECT_DAMAGED'
  /** A cluster works on another run, or has got a plan of another coordinator. */
  | 'RUNTIME_CLUSTER_BUSY'
  /** Stopped on request. */
  | 'RUNTIME_ABORTED';

interface RuntimeErrorOptions extends ErrorOptions {
  readonly device?: string;
}

/** An error for the caller to handle; the message reads `runtime/where: what`. */
export class RuntimeError extends Error {
  override readonly name = 'RuntimeError';
  readonly code: RuntimeErrorCode;
  /** The device concerned, where there is one. */
  readonly device: string | undefined;

  constructor(
    code: RuntimeErrorCode,
    where: string,
    what: string,
    { device, ...options }: RuntimeErrorOptions = {},
  ) {
    super(`runtime/${where}: ${what}`, options);
    this.code = code;
    this.device = device;
  }
}
