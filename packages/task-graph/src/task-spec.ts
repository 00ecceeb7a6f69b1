/** A task as a task file declares it. Plain JSON. */

export type Modality = 'text' | 'image' | 'audio';

export type AnswerSpec =
  | { readonly type: 'label'; readonly labels: readonly string[] }
  | { readonly type: 'text' }
  | { readonly type: 'json'; readonly schema: Readonly<Record<string, unknown>> };

/** Paths of files (JSONL, CSV, TSV, Parquet) or of folders with a folder of pictures for each label, relative to the data directory. */
export interface DataSpec {
  readonly train?: string;
  readonly validation?: string;
  /** Named test sets. */
  readonly test?: Readonly<Record<string, string>>;
}

export interface TaskSpec {
  readonly id: string;
  /** Its parents: the tasks that it builds on directly. */
  readonly dependsOn: readonly string[];
  /** The prompt; `{text}` stands for the input text, `{<id>}` for the answer of a dependency. */
  readonly instruction: string;
  readonly inputs: readonly Modality[];
  readonly answer: AnswerSpec;
  readonly data: DataSpec;
  /** Relative weight when ranks are shared among the tasks; 1 when absent. */
  readonly share?: number;
}

/** A whole task file. */
export interface TaskFile {
  readonly name?: string;
  readonly tasks: readonly TaskSpec[];
}
