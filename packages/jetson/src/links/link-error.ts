/** Errors of a link, which name its endpoint. */
import { JetsonError, type JetsonErrorCode } from '../jetson-error.js';
import type { LinkEndpoint } from './parse-endpoint.js';

type LinkErrorCode = Extract<JetsonErrorCode, `JETSON_LINK_${string}`>;

/** Creates an error whose message is the endpoint followed by what went wrong. */
export const linkError = (
  code: LinkErrorCode,
  { host, port }: LinkEndpoint,
  what: string,
  options?: ErrorOptions,
): JetsonError =>
  new JetsonError(code, 'measureLink', `${host.includes(':') ? `[${host}]` : host}:${port} ${what}`, options);
