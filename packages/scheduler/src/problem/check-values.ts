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

function record(value: unknown, path: string, note: Note): Record<string, unknown> | undefined {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  note(path, `must be an object, got ${show(value)}`);
  return undefined;
}

/** A check of one value, which stands at `path`. */
export type Check = (value: unknown, path: string, note: Note) => void;

/** Checks the fields of a record, which stands at `path`; every field must be known. */
export function checkFields(
  value: unknown,
  path: string,
  checks: {
    readonly required?: Readonly<Record<string, Check>>;
    readonly optional?: Readonly<Record<string, Check>>;
  },
  note: Note,
): Record<string, unknown> | undefined {
  const fields = record(value, path, note);
  if (!fields) return undefined;
  const { required = {}, optional = {} } = checks;
  const known = [...Object.keys(required), ...Object.keys(optional)];
  const at = (key: string) => (path === 'cluster' ? key : `${path}.${key}`);
  for (const [key, check] of Object.entries(required)) check(fields[key], at(key), note);
  for (const [key, check] of Object.entries(optional))
    if (fields[key] !== undefined) check(fields[key], at(key), note);
  for (const key of Object.keys(fields))
    if (!known.includes(key) && fields[key] !== undefined) {
      const near = nearest(key, known);
      note(
        at(key),
        near === undefined
          ? `is unknown; ${path} has ${known.join(', ')}`
          : `is unknown; did you mean "${near}"?`,
      );
    }
  return fields;
}

/** The known name that differs least, by at most a third of its letters; capitals count as the same. */
function nearest(name: string, known: readonly string[]): string | undefined {
  const distances = known.map((other) => editDistance(name.toLowerCase(), other.toLowerCase()));
  const least = distances.reduce((a, b) => Math.min(a, b), Infinity);
  const near = known[distances.indexOf(least)];
  return near !== undefined && least <= near.length / 3 ? near : undefined;
}

/** Letters to insert, remove or change (Levenshtein 1966). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
}

/** A check of every entry of a list. */
export const listOf =
  (check: Check, most: number): Check =>
  (value, path, note) => {
    for (const [index, entry] of (list(value, path, most, note) ?? []).entries())
      check(entry, `${path}[${index}]`, note);
  };

/** For what is checked elsewhere. */
export const anything: Check = () => undefined;

export const within =
  (rule: string, holds: (value: number) => boolean): Check =>
  (value, path, note) => {
    if (!(typeof value === 'number' && holds(value))) note(path, `must be ${rule}, got ${show(value)}`);
  };

export const flag: Check = (value, path, note) => {
  if (typeof value !== 'boolean') note(path, `must be true or false, got ${show(value)}`);
};

export const text: Check = (value, path, note) => {
  if (typeof value !== 'string') note(path, `must be a text, got ${show(value)}`);
};

/** A check that a name is one of those. */
export const oneOf =
  (names: ReadonlyMap<string, unknown>, kind: string): Check =>
  (value, path, note) => {
    if (typeof value !== 'string' || !names.has(value))
      note(path, `names ${show(value)}, which is no ${kind} (${few([...names.keys()])})`);
  };

export const wholeNumber =
  (least: number, most: number): Check =>
  (value, path, note) => {
    if (!(Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most))
      note(path, `must be a whole number from ${least} to ${most}, got ${show(value)}`);
  };

export const atLeastZero = within(
  'a finite number, 0 or more',
  (value) => Number.isFinite(value) && value >= 0,
);

export const aboveZero = within('a finite number above 0', (value) => Number.isFinite(value) && value > 0);

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
  /** Of one rate. */
  ratePoints: 64,
  /** The exact search numbers sets of devices by their bits. */
  exactDevices: 30,
};
