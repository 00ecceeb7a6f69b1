/** The address of a listening end: `HOST`, `HOST:PORT` or `[ADDRESS]:PORT`. */
import { isIPv6 } from 'node:net';

import { JetsonError } from '../jetson-error.js';
import { defaultLinkPort } from './link-protocol.js';

export interface LinkEndpoint {
  readonly host: string;
  readonly port: number;
}

/**
 * Parses an endpoint; without a port it has {@link defaultLinkPort}.
 *
 * @throws JetsonError if the text is not a host with or without a port.
 */
export function parseEndpoint(text: string): LinkEndpoint {
  const bare = isIPv6(text) ? text : undefined;
  const [, bracketed, plain, digits] =
    /^(?:\[([^\]]+)\]|([^:[\]\s/]+))(?::(\d{1,5}))?$/.exec(text.trim()) ?? [];
  const host = bare ?? bracketed ?? plain;
  const port = digits === undefined ? defaultLinkPort : Number(digits);
  if (host === undefined || port < 1 || port > 65_535)
    throw new JetsonError(
      'JETSON_ARGUMENT_INVALID',
      'parseEndpoint',
      `"${text}" is not HOST, HOST:PORT or [ADDRESS]:PORT; ports go from 1 to 65535, and the default is ${defaultLinkPort}`,
    );
  return { host, port };
}
