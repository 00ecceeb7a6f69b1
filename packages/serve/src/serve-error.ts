/** What this package refuses, with a code to branch on. */

export type ServeErrorCode =
  /** An option of the server makes no sense, or a request is not what the OpenAPI document says or the task needs. */
  | 'SERVE_INPUT_INVALID'
  /** An address that others can reach, and no key. */
  | 'SERVE_INSECURE'
  /** The address cannot be listened at. */
  | 'SERVE_ADDRESS_UNAVAILABLE'
  /** A request without one of the keys. */
  | 'SERVE_KEY_REFUSED'
  /** A request that a page of another site may have sent. */
  | 'SERVE_HOST_REFUSED'
  /** Nothing is served at the path of the request. */
  | 'SERVE_PATH_UNKNOWN'
  /** The path of the request has no such method. */
  | 'SERVE_METHOD_REFUSED'
  /** The run has no such task. */
  | 'SERVE_TASK_UNKNOWN'
  /** A body or a picture is larger than the server takes. */
  | 'SERVE_TOO_LARGE'
  /** A body that is not JSON by its header. */
  | 'SERVE_MEDIA_REFUSED'
  /** As many requests as the server takes are under way. */
  | 'SERVE_BUSY'
  /** The answer took longer than the server allows. */
  | 'SERVE_TIMEOUT'
  /** The caller closed the connection before the answer was complete. */
  | 'SERVE_CALLER_LEFT'
  /** The server shuts down. */
  | 'SERVE_CLOSING';

interface ServeErrorOptions extends ErrorOptions {
  readonly parameter?: string;
}

export class ServeError extends Error {
  override readonly name = 'ServeError';
  readonly code: ServeErrorCode;
  /** What of a request it is about, such as `messages[0].content`. */
  readonly parameter: string | undefined;

  constructor(
    code: ServeErrorCode,
    where: string,
    what: string,
    { parameter, ...options }: ServeErrorOptions = {},
  ) {
    super(`serve/${where}: ${what}`, options);
    this.code = code;
    this.parameter = parameter;
  }
}
