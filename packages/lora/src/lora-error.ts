/** The errors of this package that are meant for a caller. */

export type LoraErrorCode =
  /** A file or folder is missing or cannot be opened. */
  | 'LORA_FILE_MISSING'
  /** A file is damaged, or is not of the format its name promises. */
  | 'LORA_FILE_DAMAGED'
  /** A PEFT folder that is not a LoRA, is malformed, or uses what is not supported, such as DoRA. */
  | 'LORA_ADAPTER_UNUSABLE'
  /** A segment on disk differs from the one recorded in its manifest. */
  | 'LORA_SEGMENT_CHANGED'
  /** Linears, tasks, ranks or spans that make no partition. */
  | 'LORA_PARTITION_INVALID'
  /** A task that the partition, or the segments given, do not have. */
  | 'LORA_TASK_UNKNOWN'
  /** A tensor that is absent or of another type than asked for. */
  | 'LORA_TENSOR_UNUSABLE';

export class LoraError extends Error {
  override readonly name = 'LoraError';
  readonly code: LoraErrorCode;
  /** Every problem found, where more than one was looked for. */
  readonly problems: readonly string[];
  constructor(
    code: LoraErrorCode,
    where: string,
    what: string,
    { problems = [], ...options }: ErrorOptions & { readonly problems?: readonly string[] } = {},
  ) {
    super([`lora/${where}: ${what}`, ...problems.map((problem) => `  ${problem}`)].join('\n'), options);
    this.code = code;
    this.problems = problems;
  }
}
