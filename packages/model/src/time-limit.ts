/** An end for synchronous work that a file from elsewhere can make endless: its regular expressions, its chat template. */
import { createContext, Script } from 'node:vm';

/** Runs work of ours; what it throws is thrown on. `slow` makes the error for work that took longer, which is given up. */
export type TimeLimit = <T>(work: () => T, limit: { milliseconds: number; slow: () => Error }) => T;

/** Opens a limit. Each use costs a tenth of a millisecond, so do not use it where nothing can take long. */
export function openTimeLimit(): TimeLimit {
  // Node ends a script of another context after a time, also within a regular expression; ours calls back.
  const context = createContext({ work: undefined as unknown });
  const script = new Script('work()');
  return (work, { milliseconds, slow }) => {
    context['work'] = work;
    try {
      return script.runInContext(context, { timeout: milliseconds }) as ReturnType<typeof work>;
    } catch (error) {
      throw (error as { code?: unknown } | null)?.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT' ? slow() : error;
    } finally {
      context['work'] = undefined;
    }
  };
}
