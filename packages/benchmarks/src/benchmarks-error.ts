/** What went wrong in a benchmark, with a code to branch on. */

export type BenchmarksErrorCode =
  /** The process that trains the demo's joint baseline ended early. */
  | 'BENCHMARKS_BASELINE_FAILED'
  /** A scene asks for an icon style that its renderer was not made for. */
  | 'BENCHMARKS_STYLE_UNKNOWN';

export class BenchmarksError extends Error {
  override readonly name = 'BenchmarksError';
  readonly code: BenchmarksErrorCode;

  constructor(code: BenchmarksErrorCode, where: string, what: string, options?: ErrorOptions) {
    super(`benchmarks/${where}: ${what}`, options);
    this.code = code;
  }
}
