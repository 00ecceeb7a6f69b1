/** Checks of single values and their limits; each notes what is wrong, and where. */

/** Notes what is wrong with the field at `path`, as in `devices[2].memoryBytes`. */
export type Note = (path: string, message: string) => void;

export function checkName(
  value: unknown,
  path: string,
  names: Map<string, number>,
  index: number,
  note: Note,
): void {
  if (typeof value !== 'string' || value === '') note(path, `must be a name, got ${show(value)}`);
  else if (names.has(value)) note(path, `"${value}" comes twice, first at index ${names.get(value)!}`);
  else names.set(value, index);
}

export function list(value: unknown, path: string, most: number, note: Note): readonly unknown[] | undefined {
  if (!Array.isArray(value)) note(path, `must be a list, got ${show(value)}`);
  else if (value.length > most) note(path, `has ${value.length} entries; at most ${most} are planned for`);
  else return value as unknown[];
  return undefined;
}

export function record(value: unknown, path: string, note: Note): Record<string, unknown> | undefined {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  note(path, `must be an object, got ${show(value)}`);
  return undefined;
}

/** A check of one value, which stands at `path`. */
type Check = (value: unknown, path: string, note: Note) => void;

/** Checks the fields that are there. */
export function whereGiven(
  fields: Record<string, unknown>,
  keys: readonly string[],
  path: string,
  check: Check,
  note: Note,
): void {
  for (const key of keys) if (fields[key] !== undefined) check(fields[key], `${path}.${key}`, note);
}

export const wholeNumber =
  (least: number, most: number): Check =>
  (value, path, note) => {
    if (!(Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most))
      note(path, `must be a whole number from ${least} to ${most}, got ${show(value)}`);
  };

export const atLeastZero: Check = (value, path, note) => {
  if (!(typeof value === 'number' && Number.isFinite(value) && value >= 0))
    note(path, `must be a finite number, 0 or more, got ${show(value)}`);
};

export const aboveZero: Check = (value, path, note) => {
  if (!(typeof value === 'number' && Number.isFinite(value) && value > 0))
    note(path, `must be a finite number above 0, got ${show(value)}`);
};

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
  try {
    const text = JSON.stringify(value);
    return text.length > 60 ? `${text.slice(0, 57)}…` : text;
  } catch {
    return 'something that is no plain value';
  }
}

/** More than this is a mistake or an attack: planning would not end. */
export const inputLimits = {
  devices: 10_000,
  layers: 10_000,
  workloads: 1_000,
  links: 1_000_000,
  samples: 1_000_000,
  /** And epochs. */
  steps: 1e12,
  modes: 64,
};
