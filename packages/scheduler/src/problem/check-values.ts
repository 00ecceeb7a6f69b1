/** Checks of single values and their limits; each notes what is wrong, and where. */
import type { InputProblem } from '../scheduler-error.js';

export function checkName(
  value: unknown,
  path: string,
  names: Map<string, number>,
  index: number,
  problems: InputProblem[],
): void {
  if (typeof value !== 'string' || value === '')
    problems.push({ path, message: `must be a name, got ${show(value)}` });
  else if (names.has(value))
    problems.push({ path, message: `"${value}" comes twice, first at index ${names.get(value)!}` });
  else names.set(value, index);
}

export function list(
  value: unknown,
  path: string,
  most: number,
  problems: InputProblem[],
): readonly unknown[] | undefined {
  if (!Array.isArray(value)) problems.push({ path, message: `must be a list, got ${show(value)}` });
  else if (value.length > most)
    problems.push({ path, message: `has ${value.length} entries; at most ${most} are planned for` });
  else return value as unknown[];
  return undefined;
}

export function record(
  value: unknown,
  path: string,
  problems: InputProblem[],
): Record<string, unknown> | undefined {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  problems.push({ path, message: `must be an object, got ${show(value)}` });
  return undefined;
}

export function wholeNumber(
  value: unknown,
  path: string,
  { least, most }: { least: number; most: number },
  problems: InputProblem[],
): void {
  if (!(Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most))
    problems.push({ path, message: `must be a whole number from ${least} to ${most}, got ${show(value)}` });
}

export function atLeastZero(value: unknown, path: string, problems: InputProblem[]): void {
  if (!(typeof value === 'number' && Number.isFinite(value) && value >= 0))
    problems.push({ path, message: `must be a finite number, 0 or more, got ${show(value)}` });
}

export function aboveZero(value: unknown, path: string, problems: InputProblem[]): void {
  if (!(typeof value === 'number' && Number.isFinite(value) && value > 0))
    problems.push({ path, message: `must be a finite number above 0, got ${show(value)}` });
}

export const few = (names: readonly string[]): string =>
  names.length <= 8 ? names.join(', ') : `${names.slice(0, 8).join(', ')}, … ${names.length} in all`;

/** NaN and Infinity as they are, strings in quotes, nothing endless. */
export function show(value: unknown): string {
  switch (typeof value) {
    case 'object':
    case 'string':
      break;
    case 'number':
    case 'boolean':
    case 'bigint':
    case 'symbol':
    case 'undefined':
      return String(value);
    default:
      return 'a function';
  }
  let text: string;
  try {
    text = JSON.stringify(value);
  } catch {
    return 'something that is no plain value';
  }
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

/** More than this is a mistake or an attack: planning would not end. */
export const inputLimits = {
  devices: 10_000,
  layers: 10_000,
  workloads: 1_000,
  links: 1_000_000,
  samples: 1_000_000,
  modes: 64,
};
