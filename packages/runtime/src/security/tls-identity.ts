/** What a device shows and trusts in TLS. */
export interface TlsIdentity {
  /** Certificate of the authority that all devices trust, in PEM. */
  readonly ca: string;
  /** Certificate of this device, whose common name is the device's name, in PEM. */
  readonly certificate: string;
  /** Its private key, in PEM. */
  readonly key: string;
}
