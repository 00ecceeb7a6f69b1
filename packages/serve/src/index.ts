export { createServer, type Server } from './create-server.js';
export type { ServableRun } from './chat/served-run.js';
export { openApiDocument } from './http/open-api.js';
export { ServeError, type ServeErrorCode } from './serve-error.js';
export type { ServerLimits, ServerOptions } from './server-options.js';
