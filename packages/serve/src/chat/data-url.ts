/** Pictures inside of requests. */
import { ServeError } from '../serve-error.js';

/** `data:image/png;base64,…`. What the bytes are is found out from them, and not from the name. */
const dataUrl = /^data:[\w.+-]+\/[\w.+-]+;base64,/i;

/**
 * The bytes of a data URL.
 *
 * @throws ServeError (`SERVE_INPUT_INVALID`) for other URLs, which are never fetched, and for what is not base64.
 */
export function bytesOfDataUrl(url: string, parameter: string): Uint8Array {
  const invalid = (what: string) =>
    new ServeError('SERVE_INPUT_INVALID', 'chat', `${parameter} ${what}`, { parameter });
  const [head] = dataUrl.exec(url) ?? [];
  if (head === undefined)
    throw invalid('must be a data URL, "data:image/png;base64,…"; other URLs are not fetched');
  const base64 = url.slice(head.length);
  const bytes = Buffer.from(base64, 'base64');
  // Buffer skips what is not base64.
  if (bytes.length === 0 || Math.ceil((bytes.length * 4) / 3) !== base64.replace(/=*$/, '').length)
    throw invalid('is not base64');
  return bytes;
}
