/** The problems of many files as one list of bearable length. */

import { FinetuneError } from '../finetune-error.js';

/** The problems of a file. */
export interface SourceProblems {
  readonly path: string;
  /** The first problems, described. */
  readonly problems: readonly string[];
  /** The number of all problems. */
  readonly problemCount: number;
}

/** The most problems that are listed. */
const listed = 100;

/** The error that lists the problems of several files, and perhaps a way out. */
export function dataInvalid(where: string, found: readonly SourceProblems[], wayOut?: string): FinetuneError {
  const { title, problems } = listProblems(found);
  return new FinetuneError(
    'FINETUNE_DATA_INVALID',
    where,
    [`${title}:`, ...problems, ...(wayOut === undefined ? [] : [wayOut])].join('\n'),
    {
      problems,
    },
  );
}

/** One entry per file, its problems indented below its path, and a title with the number of all problems. */
function listProblems(found: readonly SourceProblems[]): {
  readonly title: string;
  readonly problems: readonly string[];
} {
  const files = mergeFiles(found);
  const total = files.reduce((sum, { problemCount }) => sum + problemCount, 0);
  // Every file gets its part, so that the worst does not hide the others.
  const each = Math.max(1, Math.floor(listed / files.length));
  const problems = files.slice(0, listed).map(({ path, problems: described, problemCount }) => {
    const shown = described.slice(0, each);
    const rest = problemCount > shown.length ? [`  … and ${problemCount - shown.length} more`] : [];
    return [`${path}:`, ...shown.map((problem) => `  ${problem}`), ...rest].join('\n');
  });
  if (files.length > listed) problems.push(`… and ${files.length - listed} more files`);
  const count = total === 1 ? 'a problem' : `${total.toLocaleString('en')} problems`;
  return { title: `${count} in ${files.length === 1 ? 'a file' : `${files.length} files`}`, problems };
}

/** One entry per path; what is said of a file twice is listed once. */
function mergeFiles(found: readonly SourceProblems[]): SourceProblems[] {
  const byPath = new Map<string, { problems: Set<string>; problemCount: number }>();
  for (const { path, problems, problemCount } of found) {
    const known = byPath.get(path) ?? { problems: new Set<string>(), problemCount: 0 };
    const repeated = problems.filter((problem) => known.problems.has(problem)).length;
    for (const problem of problems) known.problems.add(problem);
    known.problemCount += problemCount - repeated;
    byPath.set(path, known);
  }
  return Array.from(byPath, ([path, { problems, problemCount }]) => ({
    path,
    problems: [...problems].sort((p, q) => lineOf(p) - lineOf(q)),
    problemCount,
  }));
}

const lineOf = (problem: string) => Number(/^(?:line|row|picture|sound) (\d+)\b/.exec(problem)?.[1] ?? 0);
