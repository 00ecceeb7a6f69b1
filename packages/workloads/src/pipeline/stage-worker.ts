/** The module that a worker thread begins with: it serves the layers that it is told to. */
import { isMainThread } from 'node:worker_threads';

import { thisThread } from '@contextlora/runtime/threads';

import { serveLayers, type ServeLayersOptions } from './serve-layers.js';

export { serveLayers };

async function serveThread(): Promise<void> {
  const { transport, data } = thisThread();
  await serveLayers(transport, data as ServeLayersOptions);
  await transport[Symbol.asyncDispose]();
}

// What it throws ends the thread, by which the coordinator learns of it.
if (!isMainThread) void serveThread();
