/**
 * One line of NVIDIA's tegrastats as plain values: all formats from JetPack 4 (TX1, Nano) to JetPack 7 (Thor).
 *
 * A token that cannot be read is kept in `other` and its field is missing; a line is never refused for it. Missing is never 0.
 */

export interface TegrastatsMemory {
  readonly usedBytes: number;
  readonly totalBytes: number;
  readonly cachedBytes?: number;
  readonly largestFreeBlock?: { readonly count: number; readonly bytes: number };
}

export interface TegrastatsCore {
  readonly online: boolean;
  readonly loadPercent?: number;
  readonly megahertz?: number;
}

/** A part with a load, a clock, or both; `online` is false for one that is powered off. */
export interface TegrastatsUnit {
  readonly online: boolean;
  readonly loadPercent?: number;
  /** One number, or one per cluster of the GPU. */
  readonly megahertz?: readonly number[];
}

export interface TegrastatsTemperature {
  readonly sensor: string;
  /** Missing where the sensor is powered off (printed as -256). */
  readonly celsius?: number;
  readonly maxCelsius?: number;
}

export interface TegrastatsRail {
  readonly rail: string;
  readonly watts: number;
  /** Since tegrastats began. */
  readonly averageWatts?: number;
  readonly maxWatts?: number;
}

export interface TegrastatsSample {
  /** Local time without a zone, as printed: `MM-DD-YYYY HH:MM:SS`. */
  readonly date?: string;
  /** Shared by CPU and GPU. */
  readonly ram?: TegrastatsMemory;
  readonly swap?: TegrastatsMemory;
  readonly iram?: TegrastatsMemory;
  readonly cores: readonly TegrastatsCore[];
  readonly memoryController?: TegrastatsUnit;
  readonly gpu?: TegrastatsUnit;
  /** Video, image, audio and inference engines by name, without `_FREQ`. */
  readonly engines: Readonly<Record<string, TegrastatsUnit>>;
  readonly temperatures: readonly TegrastatsTemperature[];
  readonly rails: readonly TegrastatsRail[];
  /** What was not understood, in order. */
  readonly other: readonly string[];
}

/**
 * Reads one line.
 *
 * Source: NVIDIA Jetson Linux Developer Guide, "Tegrastats Utility", and lines that boards printed (test/fixtures).
 */
export function parseTegrastats(line: string): TegrastatsSample {
  const tokens = line.replace(/\(/g, ' (').split(/\s+/).filter(Boolean);
  const engines: Record<string, TegrastatsUnit> = Object.create(null) as Record<string, TegrastatsUnit>;
  const temperatures: TegrastatsTemperature[] = [];
  const rails: TegrastatsRail[] = [];
  const other: string[] = [];
  const found: {
    date?: string;
    ram?: TegrastatsMemory;
    swap?: TegrastatsMemory;
    iram?: TegrastatsMemory;
    cores?: TegrastatsCore[];
    memoryController?: TegrastatsUnit;
    gpu?: TegrastatsUnit;
  } = {};

  let at = 0;
  while (at < tokens.length) {
    const name = tokens[at]!;
    const next = tokens[at + 1] ?? '';
    if (at === 0 && /^\d\d-\d\d-\d{4}$/.test(name) && /^\d\d:\d\d:\d\d$/.test(next)) {
      found.date = `${name} ${next}`;
      at += 2;
      continue;
    }
    const memoryField = memoryFields[name];
    if (memoryField) {
      const details = groupFrom(tokens, at + 2, '(', ')');
      const memory = readMemory(next, details?.text ?? '');
      if (memory) {
        found[memoryField] = memory;
        at += 2 + (details?.length ?? 0);
        continue;
      }
    }
    if (name === 'CPU' && next.startsWith('[')) {
      const list = groupFrom(tokens, at + 1, '[', ']');
      if (list) {
        found.cores = readCores(list.text, other);
        at += 1 + list.length;
        continue;
      }
    }
    const temperature = readTemperature(name);
    if (temperature) {
      temperatures.push(temperature);
      at += 1;
      continue;
    }
    const rail = readRail(name, next);
    if (rail) {
      if (name !== 'NC') rails.push(rail);
      at += 2;
      continue;
    }
    const unit = /^[A-Z][A-Z0-9_]*$/.test(name) ? readUnit(next) : undefined;
    if (unit) {
      if (name === 'EMC_FREQ') found.memoryController = unit;
      else if (name === 'GR3D_FREQ') found.gpu = unit;
      // The load of GR3D_FREQ once more, with the clock of another cluster.
      else if (name === 'GR3D2_FREQ') other.push(name, next);
      else engines[name.replace(/_FREQ$/, '')] = unit;
      at += 2;
      continue;
    }
    other.push(name);
    at += 1;
  }
  const { cores = [], ...rest } = found;
  return { ...rest, cores, engines, temperatures, rails, other };
}

const memoryFields: Readonly<Record<string, 'ram' | 'swap' | 'iram' | undefined>> = Object.assign(
  Object.create(null) as Record<string, never>,
  { RAM: 'ram', SWAP: 'swap', IRAM: 'iram' } as const,
);

const bytesOf = { kB: 2 ** 10, MB: 2 ** 20, GB: 2 ** 30 } as const;
const sizeOf = (amount: string | undefined, unit: string | undefined): number =>
  Number(amount) * bytesOf[(unit ?? 'MB') as keyof typeof bytesOf];

/** Tokens from `start` up to the one that closes the bracket, without brackets; a common clock may follow `]`. */
function groupFrom(
  tokens: readonly string[],
  start: number,
  open: string,
  close: string,
): { text: string; length: number } | undefined {
  if (tokens[start]?.startsWith(open) !== true) return undefined;
  for (let end = start; end < tokens.length; end++)
    if (tokens[end]!.includes(close))
      return { text: tokens.slice(start, end + 1).join(' '), length: end + 1 - start };
  return undefined;
}

/** `used/totalMB` and `(lfb NxSIZE)`, `(lfb SIZE)` or `(cached SIZE)`. */
function readMemory(amounts: string, details: string): TegrastatsMemory | undefined {
  const [, used, usedUnit, total, totalUnit] = /^(\d+)(kB|MB|GB)?\/(\d+)(kB|MB|GB)$/.exec(amounts) ?? [];
  if (used === undefined) return undefined;
  const cached = /cached (\d+)(kB|MB|GB)/.exec(details);
  const free = /lfb (?:(\d+)x)?(\d+)(kB|MB|GB)/.exec(details);
  return {
    usedBytes: sizeOf(used, usedUnit ?? totalUnit),
    totalBytes: sizeOf(total, totalUnit),
    ...(cached && { cachedBytes: sizeOf(cached[1], cached[2]) }),
    ...(free && { largestFreeBlock: { count: Number(free[1] ?? 1), bytes: sizeOf(free[2], free[3]) } }),
  };
}

/** `[X%@F,X%,off]`, with `@F` behind it where all cores share a clock. */
function readCores(text: string, other: string[]): TegrastatsCore[] {
  const [, items = '', common] = /^\[(.*)\](?:@(\d+))?/.exec(text) ?? [];
  return items.split(',').map((part): TegrastatsCore => {
    const item = part.trim();
    if (item === 'off') return { online: false };
    const [, load, clock = common] = /^(\d+(?:\.\d+)?)%(?:@(\d+))?$/.exec(item) ?? [];
    if (load === undefined) other.push(item);
    return {
      online: true,
      ...(load !== undefined && { loadPercent: Number(load) }),
      ...(load !== undefined && clock !== undefined && { megahertz: Number(clock) }),
    };
  });
}

/** `N%`, `N%@F`, `N%@[F,F]`, `@F`, `@[F,F,F]`, `F` or `off`; without `N%` the load is unknown. */
function readUnit(text: string): TegrastatsUnit | undefined {
  if (text === 'off') return { online: false };
  const [all, load, list, one, bare] =
    /^(?=.)(?:(\d+(?:\.\d+)?)%)?(?:@(?:\[(\d+(?:,\d+)*)\]|(\d+)))?$|^(\d+)$/.exec(text) ?? [];
  if (all === undefined) return undefined;
  const clocks = list?.split(',') ?? [one ?? bare].filter((clock) => clock !== undefined);
  return {
    online: true,
    ...(load !== undefined && { loadPercent: Number(load) }),
    ...(clocks.length > 0 && { megahertz: clocks.map(Number) }),
  };
}

/** `name@TC` or `name@nowC/maxC`. */
function readTemperature(token: string): TegrastatsTemperature | undefined {
  const [, sensor, now, max] =
    /^([A-Za-z][\w-]*)@(-?\d+(?:\.\d+)?)C(?:\/(-?\d+(?:\.\d+)?)C)?$/.exec(token) ?? [];
  if (sensor === undefined) return undefined;
  const known = (text: string | undefined): text is string => text !== undefined && Number(text) > -256;
  return {
    sensor,
    ...(known(now) && { celsius: Number(now) }),
    ...(known(max) && { maxCelsius: Number(max) }),
  };
}

/** `RAIL now/average`, with or without mW, and `/max` from JetPack 7 on. */
function readRail(rail: string, text: string): TegrastatsRail | undefined {
  if (!/^[A-Za-z]\w*$/.test(rail)) return undefined;
  const [, now, average, max] = /^(\d+)(?:mW)?\/(\d+)(?:mW)?(?:\/(\d+)(?:mW)?)?$/.exec(text) ?? [];
  if (now === undefined) return undefined;
  return {
    rail,
    watts: Number(now) / 1000,
    averageWatts: Number(average) / 1000,
    ...(max !== undefined && { maxWatts: Number(max) / 1000 }),
  };
}
