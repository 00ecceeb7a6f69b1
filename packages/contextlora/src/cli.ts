/** The program behind `contextlora`: the command line in the world of this process. */
import { readFileSync } from 'node:fs';

import { describeFailure, processWorld, runCommandLine } from '@contextlora/cli';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

// Node would print the line that threw, which may be a whole minified library.
process.on('uncaughtException', (error) => {
  const { message, exitCode } = describeFailure(error);
  process.stderr.write(`${message}\n`, () => process.exit(exitCode));
});

process.exitCode = await runCommandLine(process.argv.slice(2), processWorld(process, { version }));
// The channel to the process that started this one would keep it alive.
if (process.connected) process.disconnect();
