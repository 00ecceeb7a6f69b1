/** `contextlora profile --listen`: the other end of `--link`. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';

import { defaultLinkPort, listenForLinks, parseEndpoint } from '@contextlora/jetson';

import { CliError } from '../cli-error.js';
import type { CommandContext } from '../command-context.js';

/** Serves on `[HOST:]PORT`, or on the default port of all addresses, until stopped. */
export async function listenForMeasurements(
  where: string | true,
  { id }: { readonly id: string },
  { clock, output, signal }: CommandContext,
): Promise<void> {
  const isPort = where !== true && /^\d+$/.test(where);
  const { host, port } = where === true || isPort ? portOf(where) : parseEndpoint(where);
  await using listener = await listenForLinks({
    port,
    ...(host !== undefined && { host }),
    id,
    clock,
    randomBytes,
  });
  output.write(
    `Listening as ${id} on port ${listener.port} until Ctrl-C. On the other machine: contextlora profile --link ADDRESS:${listener.port}\n` +
      'Anyone who can reach this port can measure: it exchanges random bytes and opens no file.\n',
  );
  if (!signal.aborted) await once(signal, 'abort');
}

function portOf(where: string | true): { host?: string; port: number } {
  if (where === true) return { port: defaultLinkPort };
  const port = Number(where);
  if (port <= 65_535) return { port };
  throw new CliError('CLI_OPTIONS_INVALID', 'profile', `--listen: ports go from 0 to 65535, got ${where}`);
}
