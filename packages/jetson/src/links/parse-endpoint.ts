/** `HOST`, `HOST:PORT`, `[ADDRESS]:PORT` */
import { isIPv6 } from 'node:net';

import { defaultLinkPort } from './link-protocol.js';
import type { LinkEndpoint } from './open-session.js';

/** @throws if it is no host with or without a port. */
export function parseEndpoint(text: string): LinkEndpoint {
  const bare = isIPv6(text) ? text : undefined;
  const [, bracketed, plain, digits] =
    /^(?:\[([^\]]+)\]|([^:[\]\s/]+))(?::(\d{1,5}))?$/.exec(text.trim()) ?? [];
  const host = bare ?? bracketed ?? plain;
  const port = digits === undefined ? defaultLinkPort : Number(digits);
  if (host === undefined || port < 1 || port > 65_535)
    throw new Error(
      `jetson/parseEndpoint: "${text}" is no HOST, HOST:PORT or [ADDRESS]:PORT; ports go from 1 to 65535, and ${defaultLinkPort} is taken when there is none`,
    );
  return { host, port };
}
