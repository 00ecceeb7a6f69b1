/** Off loopback, what is not secured is refused. */
import { BlockList, isIP } from 'node:net';

import { RuntimeError } from '../runtime-error.js';
import type { TlsIdentity } from './tls-identity.js';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Whether a host is this machine itself, whatever the network. */
function isLoopback(host: string): boolean {
  const plain = host.replace(/^\[(.*)\]$/, '$1');
  const family = isIP(plain);
  return family === 0 ? plain === 'localhost' : loopback.check(plain, family === 4 ? 'ipv4' : 'ipv6');
}

/** @throws RuntimeError `RUNTIME_INSECURE` if the host can be reached over a network and there is no TLS. */
export function refuseInsecure(host: string, tls: TlsIdentity | undefined, where: string): void {
  if (tls || isLoopback(host)) return;
  throw new RuntimeError(
    'RUNTIME_INSECURE',
    where,
    `${host} is not on this machine, and a connection without TLS is refused there; ` +
      '"contextlora cluster init" writes a certificate and keys for every device',
  );
}
