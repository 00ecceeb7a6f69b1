/** Tests that need a NATS server. */
import { describe } from '@jest/globals';

import { isNatsInstalled } from './nats-process.js';

export { startNatsServer, type TestServer } from './nats-process.js';

/** `describe` where a NATS server is installed, and elsewhere a notice. */
export const describeWithNats: typeof describe | typeof describe.skip = isNatsInstalled
  ? describe
  : describe.skip;
if (!isNatsInstalled) console.warn('nats-server is not installed: the tests that need it are skipped.');
