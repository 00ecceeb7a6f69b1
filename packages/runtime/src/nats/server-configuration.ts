/** What a NATS server is told, so that it serves a cluster, and its devices only. */
import { keyToken } from '../engine/key-token.js';
import type { ClusterFile, RegisteredDevice } from '../security/cluster-file.js';
import { inboxOf } from './inbox-of.js';
import { storeNames } from './nats-store.js';

export interface ServerConfigurationOptions {
  /** Where it listens, `host:port`. */
  readonly listen: string;
  /** Directory for what it keeps. */
  readonly storeDirectory: string;
  /** The cluster whose registered devices alone may connect, and paths of files in PEM; without it everyone may who reaches the address. */
  readonly secured?: {
    readonly file: ClusterFile;
    readonly ca: string;
    readonly certificate: string;
    readonly key: string;
  };
}

/** A configuration in the server's own format. */
export function serverConfiguration({ listen, storeDirectory, secured }: ServerConfigurationOptions): string {
  const lines = [
    `listen: ${quote(listen)}`,
    'max_pending: 256MB',
    'write_deadline: "10s"',
    // A device that is gone without a word is noticed in seconds.
    'ping_interval: "2s"',
    'ping_max: 2',
    `jetstream { store_dir: ${quote(storeDirectory)} }`,
  ];
  if (secured) {
    const { file, ca, certificate, key } = secured;
    lines.push(
      'tls {',
      `  ca_file: ${quote(ca)}`,
      `  cert_file: ${quote(certificate)}`,
      `  key_file: ${quote(key)}`,
      '  verify_and_map: true',
      '}',
      'authorization {',
      '  users: [',
      ...file.devices.map((device) => `    ${userOf(device, file.cluster)}`),
      '  ]',
      '}',
    );
  }
  return `${lines.join('\n')}\n`;
}

/** A device may speak in its own name only: whatever it sends, its name is part of the subject. */
function userOf({ name, role }: RegisteredDevice, cluster: string): string {
  const own = keyToken(name);
  const { state, leases, objects, logSubject } = storeNames(cluster);
  const publish = [
    `contextlora.*.wire.${own}.>`,
    logSubject,
    `$KV.${leases}.members.${own}`,
    `$KV.${state}.endpoints.*.${own}`,
    `$O.${objects}.>`,
    '$JS.API.INFO',
    '$JS.API.STREAM.INFO.*',
    '$JS.API.STREAM.MSG.GET.*',
    `$JS.API.STREAM.PURGE.OBJ_${objects}`,
    '$JS.API.CONSUMER.CREATE.>',
    '$JS.API.CONSUMER.INFO.>',
    '$JS.API.CONSUMER.DELETE.>',
    '$JS.API.CONSUMER.MSG.NEXT.>',
    '$JS.ACK.>',
    '$JS.FC.>',
    ...(role === 'coordinator' ? [`$KV.${state}.plan.current`, '$JS.API.STREAM.>'] : []),
  ];
  const subscribe = [`${inboxOf(name)}.>`, `contextlora.*.wire.*.${own}.>`];
  const list = (subjects: readonly string[]) => `[${subjects.map(quote).join(', ')}]`;
  return `{ user: ${quote(name)}, permissions: { publish: ${list(publish)}, subscribe: ${list(subscribe)} } }`;
}

const quote = (text: string) => JSON.stringify(text);
