export { RuntimeError, type RuntimeErrorCode } from './runtime-error.js';
export type { TlsIdentity } from './security/tls-identity.js';
export {
  decodeFrame,
  encodeFrame,
  type Frame,
  type FrameFault,
  type FrameKind,
  type FrameLimits,
  type FrameRefusal,
} from './transport/frame.js';
export { memoryTransports } from './transport/memory-transports.js';
export { openTransport, type OpenTransportOptions, type RefusedFrame } from './transport/open-transport.js';
export type { Transport } from './transport/transport.js';
export type { Lane, OpenWire, Wire, WireListener } from './transport/wire.js';
