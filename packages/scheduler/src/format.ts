/** Numbers and names as people read them. */

interface TimeUnit {
  readonly seconds: number;
  readonly name: string;
}

function timeUnit(seconds: number): TimeUnit {
  if (seconds >= 3 * 3600) return { seconds: 3600, name: 'h' };
  if (seconds >= 180) return { seconds: 60, name: 'min' };
  if (seconds >= 1 || seconds === 0) return { seconds: 1, name: 's' };
  if (seconds >= 1e-3) return { seconds: 1e-3, name: 'ms' };
  return { seconds: 1e-6, name: 'µs' };
}

/** Three digits and a unit: `12.3 s`, `450 ms`, `7 min`. */
export function formatSeconds(seconds: number): string {
  const { seconds: scale, name } = timeUnit(Math.abs(seconds));
  return `${threeDigits(seconds / scale)} ${name}`;
}

/** Three digits and a decimal unit: `1.5 MB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let scaled = bytes;
  let unit = 0;
  for (; scaled >= 999.5 && unit < units.length - 1; unit++) scaled /= 1000;
  return `${threeDigits(scaled)} ${units[unit]!}`;
}

/** Three digits and a unit: `12.3 kJ`. */
export const formatJoules = (joules: number): string =>
  joules >= 999.5 ? `${threeDigits(joules / 1000)} kJ` : `${threeDigits(joules)} J`;

export const formatPercent = (fraction: number): string => `${Math.round(fraction * 100)}%`;

const threeDigits = (value: number): number =>
  Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3));

interface Tick {
  readonly seconds: number;
  readonly label: string;
}

/** Round times from 0 to the end, at most `most` of them. */
export function timeTicks(endSeconds: number, most: number): Tick[] {
  if (endSeconds <= 0) return [{ seconds: 0, label: '0 s' }];
  const { seconds: scale, name } = timeUnit(endSeconds);
  const end = endSeconds / scale;
  const least = end / Math.max(1, most - 1);
  const power = 10 ** Math.floor(Math.log10(least));
  const candidates =
    name === 'min' ? [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 180] : [1, 2, 5, 10].map((n) => n * power);
  // The tolerance keeps a step that is exactly the least one.
  const step = candidates.find((candidate) => candidate >= least * (1 - 1e-9)) ?? least;
  return Array.from({ length: Math.floor(end / step + 1e-9) + 1 }, (_, index) => {
    const value = Number((index * step).toPrecision(12));
    return { seconds: value * scale, label: `${value} ${name}` };
  });
}

/** `layers 0–7`, both included. */
export const formatLayers = (start: number, end: number): string =>
  end - start === 1 ? `layer ${start}` : `layers ${start}–${end - 1}`;

/** `a`, `b`, …, `z`, `aa`, … */
export const letterOf = (index: number): string =>
  (index >= 26 ? letterOf(Math.floor(index / 26) - 1) : '') + String.fromCharCode(97 + (index % 26));

export const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;
