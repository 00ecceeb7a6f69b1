/** The one error class of this package. */

export type JetsonErrorCode =
  /** An argument or option is outside its range. */
  | 'JETSON_ARGUMENT_INVALID'
  /** No published profile has this id. */
  | 'JETSON_BOARD_UNKNOWN'
  /** The text is not the output of tegrastats. */
  | 'JETSON_TEGRASTATS_UNREADABLE'
  /** Too few rounds, too little time or too few bytes for a result: measure longer. */
  | 'JETSON_MEASUREMENT_TOO_SHORT'
  /** The address or port to listen on is not available. */
  | 'JETSON_PORT_UNAVAILABLE'
  /** Nothing answers at the endpoint of a link. */
  | 'JETSON_LINK_UNREACHABLE'
  /** The endpoint is busy, speaks another protocol or version, or declines the request. */
  | 'JETSON_LINK_REFUSED'
  /** The other end stopped or answered incorrectly during a measurement. */
  | 'JETSON_LINK_BROKEN';

interface JetsonErrorOptions extends ErrorOptions {
  readonly problems?: readonly string[];
}

/** An error for the caller to handle; the message reads `jetson/where: what`. */
export class JetsonError extends Error {
  override readonly name = 'JetsonError';
  readonly code: JetsonErrorCode;
  /** All problems of the arguments, where several are reported at once. */
  readonly problems: readonly string[];

  constructor(
    code: JetsonErrorCode,
    where: string,
    what: string,
    { problems = [], ...options }: JetsonErrorOptions = {},
  ) {
    super(`jetson/${where}: ${what}`, options);
    this.code = code;
    this.problems = problems;
  }
}
