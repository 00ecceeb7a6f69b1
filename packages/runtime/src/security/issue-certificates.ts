/** Keys and certificates for the devices of a new cluster. */
import 'reflect-metadata';

import { generateKeyPairSync, type webcrypto } from 'node:crypto';
import { isIP } from 'node:net';

import * as x509 from '@peculiar/x509';

import type { ClusterFile, DeviceRole } from './cluster-file.js';
import type { TlsIdentity } from './tls-identity.js';

export interface IssueCertificatesOptions {
  readonly cluster: string;
  /** Hosts by which the server is reached. */
  readonly serverHosts: readonly string[];
  readonly serverPort: number;
  readonly devices: readonly { readonly name: string; readonly role: DeviceRole }[];
  readonly now: Date;
  /** How long the certificates are good for. */
  readonly days?: number;
}

/** All that a cluster needs to be secure; everything but `file` is secret or a device's own. */
export interface ClusterSecrets {
  readonly file: ClusterFile;
  readonly server: TlsIdentity;
  /** By device. */
  readonly devices: ReadonlyMap<string, DeviceSecrets>;
}

export interface DeviceSecrets {
  readonly tls: TlsIdentity;
  /** Ed25519 private key that signs the device's control messages, PKCS #8 in PEM. */
  readonly signingKey: string;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** Makes an authority, has it certify the server and every device, and forgets its key: a cluster with other devices is a new one. */
export async function issueCertificates({
  cluster,
  serverHosts,
  serverPort,
  devices,
  now,
  days = 365,
}: IssueCertificatesOptions): Promise<ClusterSecrets> {
  const notBefore = now;
  const notAfter = new Date(now.getTime() + days * 86_400_000);
  const newKeys = () => crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const authorityKeys = await newKeys();
  const authorityName = nameOf(`ContextLoRA ${cluster}`);
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    name: authorityName,
    notBefore,
    notAfter,
    signingAlgorithm: algorithm,
    keys: authorityKeys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      await x509.SubjectKeyIdentifierExtension.create(authorityKeys.publicKey),
    ],
  });
  const certify = async (name: string, hosts: readonly string[]): Promise<TlsIdentity> => {
    const keys = await newKeys();
    const certificate = await x509.X509CertificateGenerator.create({
      subject: nameOf(name),
      issuer: authorityName,
      notBefore,
      notAfter,
      signingAlgorithm: algorithm,
      publicKey: keys.publicKey,
      signingKey: authorityKeys.privateKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([
          x509.ExtendedKeyUsage.serverAuth,
          x509.ExtendedKeyUsage.clientAuth,
        ]),
        new x509.SubjectAlternativeNameExtension(
          hosts.map((value) => ({ type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const), value })),
        ),
        await x509.AuthorityKeyIdentifierExtension.create(authorityKeys.publicKey),
      ],
    });
    return {
      ca: authority.toString('pem'),
      certificate: certificate.toString('pem'),
      key: await pemOf(keys.privateKey),
    };
  };
  const made = await Promise.all(
    devices.map(async ({ name, role }) => {
      const { publicKey, privateKey } = generateKeyPairSync('ed25519');
      const spki = publicKey.export({ format: 'der', type: 'spki' }).toString('base64');
      const signingKey = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
      return {
        registered: { name, role, publicKey: spki },
        secrets: { tls: await certify(name, [name]), signingKey },
      };
    }),
  );
  return {
    file: {
      version: 1,
      cluster,
      server: `${serverHosts[0]}:${serverPort}`,
      devices: made.map(({ registered }) => registered),
    },
    server: await certify('nats-server', serverHosts),
    devices: new Map(made.map(({ registered, secrets }) => [registered.name, secrets])),
  };
}

const nameOf = (commonName: string) => new x509.Name([{ CN: [commonName] }]);

async function pemOf(key: webcrypto.CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await crypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');
}
