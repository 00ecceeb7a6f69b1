/** An end for synchronous work that a file from elsewhere can make endless: its regular expressions, its chat template. */
import { createContext, Script } from 'node:vm';

/**
 * Runs work of ours that can be run again; what it throws is thrown on. `slow` makes the error for work that took longer than
 * `milliseconds`, which is given up.
 */
export type TimeLimit = <T>(work: () => T, limit: { milliseconds: number; slow: () => Error }) => T;

/** Opens a limit. Its first use costs a millisecond and each a tenth of one, so do not use it where nothing can take long. */
export function openTimeLimit(): TimeLimit {
  // Node ends a script of another context after a time, also within a regular expression; ours calls back.
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
          // Node's clock also runs while a busy machine does other things; then the work has another go.
          if ((user + system) / 1000 > milliseconds / 2) throw slow();
        }
      }
    } finally {
      context['work'] = undefined;
    }
  };
}
