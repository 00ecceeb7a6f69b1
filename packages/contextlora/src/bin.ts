/** The program behind `contextlora`: the command line in the world of this process. */
import { readFileSync } from 'node:fs';

import { processWorld, runCommandLine } from '@contextlora/cli';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

process.exitCode = await runCommandLine(process.argv.slice(2), processWorld(process, { version }));
// The channel to the process that started this one would keep it alive.
if (process.connected) process.disconnect();
