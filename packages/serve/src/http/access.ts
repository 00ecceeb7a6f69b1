/** Who may ask: those with a key, or without keys this machine alone. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { BlockList, isIP } from 'node:net';

import { ServeError } from '../serve-error.js';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Whether a host is this machine itself, whatever the network. */
export function isLoopback(host: string): boolean {
  const plain = host.replace(/^\[(.*)\]$/, '$1');
  const family = isIP(plain);
  return family === 0 ? plain === 'localhost' : loopback.check(plain, family === 4 ? 'ipv4' : 'ipv6');
}

const digest = (text: string) => createHash('sha256').update(text).digest();

/**
 * Opens the check of a request. Keys are kept as digests, and compared in a time that tells nothing. Without keys a request must
 * name this machine as its host: a page of another site whose name was pointed at this machine names that site.
 */
export function openAccess(
  keys: readonly string[],
): (request: { readonly authorization: string | undefined; readonly host: string }) => void {
  const digests = keys.map(digest);
  return ({ authorization = '', host }) => {
    if (digests.length === 0) {
      if (isLoopback(host)) return;
      throw new ServeError(
        'SERVE_HOST_REFUSED',
        'access',
        'without keys, requests must be for localhost or an address of loopback; start the server with keys to use it by another name',
      );
    }
    const [, key] = /^Bearer +(.+)$/i.exec(authorization) ?? [];
    if (key === undefined)
      throw new ServeError('SERVE_KEY_REFUSED', 'access', 'a key is needed: "Authorization: Bearer KEY"');
    const given = digest(key);
    // All are compared, so that the time does not tell which is near.
    const isKnown = digests.map((known) => timingSafeEqual(known, given)).includes(true);
    if (!isKnown) throw new ServeError('SERVE_KEY_REFUSED', 'access', 'the key is not one of this server');
  };
}
