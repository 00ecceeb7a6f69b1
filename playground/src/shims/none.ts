/** For what the packages can do in Node alone, and the page never asks for. */
const absent = (): never => {
  throw new Error('this part needs Node');
};

export default absent;
export const spawn = absent;
export const Worker = absent;
export const createServer = absent;
export const createConnection = absent;
export const createSocket = absent;
export const connect = absent;
export const isIP = absent;
export const isIPv6 = absent;
export const isIPv4 = absent;
export const hostname = absent;
export const tmpdir = absent;
export const platform = absent;
export const fork = absent;
export const pipeline = absent;
export const performance = globalThis.performance;
export const hrtime = absent;
export const execFile = absent;
export const kill = absent;
export const MessageChannel = absent;
export const parentPort = absent;
export const workerData = absent;
export const isMainThread = true;
export const pid = 1;
export const lookup = absent;
export const once = absent;
