/** Why an operation of this package failed. */
export type ModelErrorCode =
  /** A file or directory is missing or cannot be opened. */
  | 'MODEL_FILE_MISSING'
  /** A file is truncated, malformed or contradicts another. */
  | 'MODEL_FILE_DAMAGED'
  /** A well-formed file or schema asks for something that is not supported. */
  | 'MODEL_UNSUPPORTED'
  /** An adapter, weights, a saved state or images belong to another model. */
  | 'MODEL_MISMATCH'
  /** An argument is out of range, or a call is not allowed in the current state. */
  | 'MODEL_INPUT_INVALID'
  /** The prompt and its answer need more positions than the model has. */
  | 'MODEL_CONTEXT_FULL'
  /** The chat template is missing, damaged or refuses the messages. */
  | 'MODEL_TEMPLATE_FAILED'
  /** No token can continue the answer. */
  | 'MODEL_NO_TOKEN';

/** A failure with its code; the message says where it happened, what is wrong and what to do. */
export class ModelError extends Error {
  override readonly name = 'ModelError';
  readonly code: ModelErrorCode;

  constructor(code: ModelErrorCode, where: string, what: string, options?: ErrorOptions) {
    super(`model/${where}: ${what}`, options);
    this.code = code;
  }
}

/** A heading followed by the first twenty problems, one per line. */
export function listProblems(heading: string, problems: readonly string[]): string {
  const shown = problems.slice(0, 20).map((problem) => `  ${problem}`);
  const rest = problems.length > 20 ? [`  … and ${problems.length - 20} more`] : [];
  return [heading, ...shown, ...rest].join('\n');
}
