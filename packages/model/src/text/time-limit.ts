/** Limits the time of synchronous work that an untrusted file could make endless: its regular expressions or chat template. */
import { createContext, Script } from 'node:vm';

/**
 * Runs work, perhaps several times, and rethrows what it throws. Work that takes longer than `milliseconds` is aborted with the error
 * from `slow`.
 */
type TimeLimit = <T>(work: () => T, limit: { milliseconds: number; slow: () => Error }) => T;

/** Opens a limit. The first use costs a millisecond and each later one a tenth, so use it only for work that can take long. */
export function openTimeLimit(): TimeLimit {
  // Node can stop a script in another context, even within a regular expression; our script calls back.
  const open = () => ({
    context: createContext({ work: undefined as unknown }),
    script: new Script('work()'),
  });
  let opened: ReturnType<typeof open> | undefined;
  return (work, { milliseconds, slow }) => {
    const { context, script } = (opened ??= open());
    context['work'] = work;
    try {
      for (let timeout = milliseconds; ; timeout *= 2) {
        const before = process.cpuUsage();
        try {
          return script.runInContext(context, { timeout }) as ReturnType<typeof work>;
        } catch (error) {
          if ((error as { code?: unknown } | null)?.code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
          const { user, system } = process.cpuUsage(before);
          // Node's clock also runs while a busy machine does other work; in that case try again.
          if ((user + system) / 1000 > milliseconds / 2) throw slow();
        }
      }
    } finally {
      context['work'] = undefined;
    }
  };
}
