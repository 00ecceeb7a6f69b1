export { portTransport, type PortTransportOptions } from './port-transport.js';
export { startThreads, type StartThreadsOptions, thisThread, type ThreadWorkers } from './thread-workers.js';
