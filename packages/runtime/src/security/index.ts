export {
  type ClusterSecrets,
  type DeviceSecrets,
  issueCertificates,
  type IssueCertificatesOptions,
} from './issue-certificates.js';
