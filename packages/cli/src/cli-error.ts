/** A command line that cannot be carried out, with a code to branch on. */

export type CliErrorCode =
  /** Options contradict each other, or lack one that they need. */
  | 'CLI_OPTIONS_INVALID'
  /** A file that an option names cannot be read or has another format. */
  | 'CLI_FILE_INVALID'
  /** No model is known by the name that an option gives. */
  | 'CLI_MODEL_UNKNOWN'
  /** This machine lacks a file or program that the command needs. */
  | 'CLI_MACHINE_UNSUPPORTED';

export class CliError extends Error {
  override readonly name = 'CliError';
  readonly code: CliErrorCode;

  constructor(code: CliErrorCode, where: string, what: string, options?: ErrorOptions) {
    super(`cli/${where}: ${what}`, options);
    this.code = code;
  }
}
