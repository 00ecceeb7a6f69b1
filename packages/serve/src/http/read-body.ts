/** The text of a request's body, up to a size. */
import { ServeError } from '../serve-error.js';

/** @throws ServeError `SERVE_TOO_LARGE` as soon as that many bytes have come or are announced, `SERVE_INPUT_INVALID` if they are not UTF-8. */
export async function readBody(request: Request, maximumBytes: number): Promise<string> {
  const tooLarge = () =>
    new ServeError(
      'SERVE_TOO_LARGE',
      'body',
      `the body has more than ${maximumBytes} bytes; send a smaller picture`,
    );
  if (Number(request.headers.get('content-length') ?? 0) > maximumBytes) throw tooLarge();
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of request.body ?? []) {
    const bytes = part as Uint8Array;
    length += bytes.length;
    if (length > maximumBytes) throw tooLarge();
    parts.push(bytes);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts));
  } catch (cause) {
    throw new ServeError('SERVE_INPUT_INVALID', 'body', 'the body is not UTF-8', { cause });
  }
}
