/** The far end in a thread. */
import { thisThread } from '@contextlora/runtime/threads';

import { serveOrders } from './transport-ends.js';

const { transport } = thisThread();
await serveOrders({
  send: (bytes) => transport.send('near', 'x', bytes),
  receive: () => transport.receive('near', 'x'),
  async close() {
    await transport[Symbol.asyncDispose]();
  },
});
