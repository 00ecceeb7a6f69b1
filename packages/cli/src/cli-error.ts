/** A command used in a way that cannot work, with a code to branch on. */

export type CliErrorCode =
  /** Options that contradict each other, or lack one that another needs. */
  | 'CLI_OPTIONS_INVALID'
  /** A file or folder that an option names cannot be read or is of another kind. */
  | 'CLI_FILE_INVALID'
  /** A model that an option names is not known. */
  | 'CLI_MODEL_UNKNOWN'
  /** This machine lacks what the command reads or starts. */
  | 'CLI_MACHINE_UNSUPPORTED';

export class CliError extends Error {
  override readonly name = 'CliError';
  readonly code: CliErrorCode;

  constructor(code: CliErrorCode, where: string, what: string, options?: ErrorOptions) {
    super(`cli/${where}: ${what}`, options);
    this.code = code;
  }
}
