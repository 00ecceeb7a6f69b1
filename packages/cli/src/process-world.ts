/** The world of the real command: a Node process and its machine. */
import { freemem, hostname } from 'node:os';

import type { CommandWorld } from './command-world.js';
import { stopCodes, type StopSignal } from './stop-signals.js';

const stopSignals = Object.keys(stopCodes) as StopSignal[];

/** The output's last listener: an error of its last write may come after the command has ended. */
function onOutputError(this: NodeJS.WriteStream, error: NodeJS.ErrnoException): void {
  // A closed pipe is no failure, a running command listens for the others itself, and one is reported once.
  if (error.code !== 'EPIPE' && this.listenerCount('error') === 1 && !process.exitCode) throw error;
}

/** Of the machine or, in a container with a limit, of the container. */
const freeBytes = (process: NodeJS.Process): number => {
  const limit = process.constrainedMemory();
  const left = limit > 0 ? limit - process.memoryUsage.rss() : Infinity;
  return Math.max(0, Math.min(freemem(), left));
};

/** Nobody is left to be told. */
const ignoreError = () => undefined;

/** Streams, clocks, signals and environment of `process`; `version` is the version of the installed command. */
export function processWorld(process: NodeJS.Process, { version }: { version: string }): CommandWorld {
  if (!process.stdout.listeners('error').includes(onOutputError)) {
    process.stdout.on('error', onOutputError);
    process.stderr.on('error', ignoreError);
  }
  return {
    version,
    clock: () => performance.now() / 1000,
    cpuSeconds() {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    },
    memory: () => ({
      residentBytes: process.memoryUsage.rss(),
      peakBytes: 1024 * process.resourceUsage().maxRSS,
      freeBytes: freeBytes(process),
    }),
    program: process.argv[1] ?? '',
    nodeArguments: process.execArgv,
    input: process.stdin,
    output: process.stdout,
    errorOutput: process.stderr,
    now: () => new Date(),
    environment: process.env,
    hostname: hostname(),
    listenForStops(handler) {
      for (const signal of stopSignals) process.on(signal, handler);
      return () => {
        for (const signal of stopSignals) process.off(signal, handler);
      };
    },
    listenForOrphaning(handler) {
      process.on('disconnect', handler);
      return () => {
        process.off('disconnect', handler);
      };
    },
    exitAtOnce: (code) => process.exit(code),
    sendToParent: (message) =>
      new Promise((sent) => {
        if (process.send)
          process.send(message, undefined, {}, () => {
            sent();
          });
        else sent();
      }),
  };
}
