/** Progress on a terminal: one line that is rewritten, or an occasional line if the output is not a terminal. */

export interface ProgressSink {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export interface Progress {
  /** Shows the progress of a stage; may be called any number of times. */
  readonly update: (line: string) => void;
  /** Prints a permanent line. */
  readonly print: (line?: string) => void;
}

export interface ProgressOptions {
  /** Monotonic seconds. */
  readonly clock: () => number;
  /** Seconds between two lines if the output is not a terminal. */
  readonly plainEverySeconds?: number;
}

const redrawEverySeconds = 0.1;

/** Creates a progress display on a stream. */
export function createProgress(
  sink: ProgressSink,
  { clock, plainEverySeconds = 10 }: ProgressOptions,
): Progress {
  let shown = false;
  let last = -Infinity;
  const clear = () => {
    if (shown) sink.write('\r\u001b[2K');
    shown = false;
  };
  return {
    update(line) {
      const now = clock();
      if (now - last < (sink.isTTY ? redrawEverySeconds : plainEverySeconds)) return;
      last = now;
      if (sink.isTTY) {
        clear();
        sink.write(line.slice(0, (sink.columns ?? 100) - 1));
        shown = true;
      } else sink.write(`${line}\n`);
    },
    print(line = '') {
      clear();
      last = -Infinity;
      sink.write(`${line}\n`);
    },
  };
}

/** `[######----]`, 20 characters wide by default. */
export function bar(done: number, total: number, width = 20): string {
  const filled = total > 0 ? Math.round((width * Math.min(done, total)) / total) : 0;
  return `[${'#'.repeat(filled)}${'-'.repeat(width - filled)}]`;
}

/** `0:07`, `12:30`, `1:02:03`. */
export function clockTime(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number) => String(value).padStart(2, '0');
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}
