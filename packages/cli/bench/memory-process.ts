/** Runs one command line in this process and tells its parent how it ended and the most memory that it held. */
import { processWorld, runCommandLine } from '@contextlora/cli';

const code = await runCommandLine(process.argv.slice(2), processWorld(process, { version: '0.0.0-memory' }));
process.send?.({ code, peakBytes: 1024 * process.resourceUsage().maxRSS });
// Its parent may be gone.
if (process.connected) process.disconnect();
