export { RuntimeError, type RuntimeErrorCode } from './runtime-error.js';
export type { Transport } from './transport/transport.js';
export { memoryTransports } from './transport/memory-transports.js';
