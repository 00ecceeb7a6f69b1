/** Connections to a NATS server. */
import { connect, type NatsConnection } from '@nats-io/transport-node';

import { RuntimeError } from '../runtime-error.js';
import { refuseInsecure } from '../security/refuse-insecure.js';
import type { TlsIdentity } from '../security/tls-identity.js';
import { inboxOf } from './inbox-of.js';

export interface ConnectNatsOptions {
  /** This device, shown in the server's list of connections. */
  readonly name: string;
  /** Needed off loopback. */
  readonly tls?: TlsIdentity;
  /** Whether to come back after the server was gone; a connection for data must not, since what was under way is lost. */
  readonly reconnect?: boolean;
  /** Longest wait for the first connection. */
  readonly timeoutSeconds?: number;
}

/**
 * Connects to `host:port`, with TLS where an identity is given, and then only with TLS.
 *
 * @throws RuntimeError `RUNTIME_INSECURE` off loopback without TLS, `RUNTIME_SERVER_UNREACHABLE` if there is no server or it refuses this device.
 */
export async function connectNats(
  server: string,
  { name, tls, reconnect = true, timeoutSeconds = 5 }: ConnectNatsOptions,
): Promise<NatsConnection> {
  const host = hostOf(server);
  refuseInsecure(host, tls, 'connectNats');
  try {
    return await connect({
      servers: server,
      name,
      reconnect,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 250,
      pingInterval: 2000,
      maxPingOut: 2,
      timeout: timeoutSeconds * 1000,
      inboxPrefix: inboxOf(name),
      // Servers that the first one tells of are not the one that was asked for.
      ignoreClusterUpdates: true,
      tls: tls ? { ca: tls.ca, cert: tls.certificate, key: tls.key } : null,
    });
  } catch (cause) {
    throw new RuntimeError(
      'RUNTIME_SERVER_UNREACHABLE',
      'connectNats',
      `there is no connection to the NATS server at ${server}: ${(cause as Error).message}; ` +
        '"contextlora cluster up" starts one',
      { cause },
    );
  }
}

/** @throws RuntimeError `RUNTIME_INPUT_INVALID` if the address is not `host:port`. */
function hostOf(server: string): string {
  const host = /^([^:/@\s]+|\[[0-9a-fA-F:]+\]):\d{1,5}$/.exec(server)?.[1];
  if (host !== undefined) return host;
  throw new RuntimeError(
    'RUNTIME_INPUT_INVALID',
    'connectNats',
    `the address of a server is HOST:PORT, such as 127.0.0.1:4222, got ${server}`,
  );
}
