/**
 * A parser for the lines of NVIDIA's tegrastats in every format from JetPack 4 (TX1, Nano) to JetPack 7 (Thor).
 *
 * A token it cannot read goes to `other` and its field is absent, never 0; no line is rejected.
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

/** A unit with a load, a clock, or both; `online` is false while it is powered off. */
export interface TegrastatsUnit {
  readonly online: boolean;
  readonly loadPercent?: number;
  /** One number, or one per cluster of the GPU. */
  readonly megahertz?: readonly number[];
}

export interface TegrastatsTemperature {
  readonly sensor: string;
  /** Absent while the sensor is powered off (printed as -256). */
  readonly celsius?: number;
  readonly maxCelsius?: number;
}

export interface TegrastatsRail {
  readonly rail: string;
  readonly watts: number;
  /** Since tegrastats started. */
  readonly averageWatts?: number;
  readonly maxWatts?: number;
}

export interface TegrastatsSample {
  /** Local time as printed, without a zone: `MM-DD-YYYY HH:MM:SS`. */
  readonly date?: string;
  /** Shared by CPU and GPU. */
  readonly ram?: TegrastatsMemory;
  readonly swap?: TegrastatsMemory;
  readonly iram?: TegrastatsMemory;
  readonly cores: readonly TegrastatsCore[];
  readonly memoryController?: TegrastatsUnit;
  readonly gpu?: TegrastatsUnit;
  /** Video, image, audio and inference engines by name without `_FREQ`. */
  readonly engines: Readonly<Record<string, TegrastatsUnit>>;
  readonly temperatures: readonly TegrastatsTemperature[];
  readonly rails: readonly TegrastatsRail[];
  /** Tokens that were not understood, in order. */
  readonly other: readonly string[];
}

/** What the readers of fields fill in, token by token. */
interface Draft {
  date?: string;
  ram?: TegrastatsMemory;
  swap?: TegrastatsMemory;
  iram?: TegrastatsMemory;
  cores: TegrastatsCore[];
  memoryController?: TegrastatsUnit;
  gpu?: TegrastatsUnit;
  readonly engines: Record<string, TegrastatsUnit>;
  readonly temperatures: TegrastatsTemperature[];
  readonly rails: TegrastatsRail[];
  readonly other: string[];
}

/**
 * Parses one line.
 *
 * Source: NVIDIA Jetson Linux Developer Guide, "Tegrastats Utility", and lines printed by boards (test/fixtures).
 */
export function parseTegrastats(line: string): TegrastatsSample {
  const tokens = line.replace(/\(/g, ' (').split(/\s+/).filter(Boolean);
  const draft: Draft = {
    cores: [],
    engines: {},
    temperatures: [],
    rails: [],
    other: [],
  };
  let at = 0;
  while (at < tokens.length) at += readField(tokens, at, draft);
  return draft;
}

/** Reads the field that starts at a token into the draft and returns its number of tokens; other tokens go to `other`. */
function readField(tokens: readonly string[], at: number, draft: Draft): number {
  const [name = '', next = ''] = tokens.slice(at, at + 2);
  if (at === 0 && /^\d\d-\d\d-\d{4}$/.test(name) && /^\d\d:\d\d:\d\d$/.test(next)) {
    draft.date = `${name} ${next}`;
    return 2;
  }
  const memoryField = memoryFields.get(name);
  if (memoryField) {
    const details = bracketed(tokens, at + 2, '(', ')');
    const memory = parseMemory(next, details?.text ?? '');
    if (memory) {
      draft[memoryField] = memory;
      return 2 + (details?.length ?? 0);
    }
  }
  if (name === 'CPU') {
    const list = bracketed(tokens, at + 1, '[', ']');
    if (list) {
      draft.cores = parseCores(list.text, draft.other);
      return 1 + list.length;
    }
  }
  const temperature = parseTemperature(name);
  if (temperature) {
    draft.temperatures.push(temperature);
    return 1;
  }
  const rail = parseRail(name, next);
  if (rail) {
    if (name !== 'NC') draft.rails.push(rail);
    return 2;
  }
  const unit = /^[A-Z][A-Z0-9_]*$/.test(name) ? parseUnit(next) : undefined;
  if (unit) {
    if (name === 'EMC_FREQ') draft.memoryController = unit;
    else if (name === 'GR3D_FREQ') draft.gpu = unit;
    // Repeats the load of GR3D_FREQ with another cluster's clock.
    else if (name === 'GR3D2_FREQ') draft.other.push(name, next);
    else draft.engines[name.replace(/_FREQ$/, '')] = unit;
    return 2;
  }
  draft.other.push(name);
  return 1;
}

const memoryFields: ReadonlyMap<string, 'ram' | 'swap' | 'iram'> = new Map([
  ['RAM', 'ram'],
  ['SWAP', 'swap'],
  ['IRAM', 'iram'],
]);

const bytesOf = { kB: 2 ** 10, MB: 2 ** 20, GB: 2 ** 30 } as const;
const sizeOf = (amount: string | undefined, unit: string | undefined): number =>
  Number(amount) * bytesOf[(unit ?? 'MB') as keyof typeof bytesOf];

/** Joins the tokens from `start`, which must open the bracket, to the one that closes it. */
function bracketed(
  tokens: readonly string[],
  start: number,
  open: string,
  close: string,
): { text: string; length: number } | undefined {
  if (tokens[start]?.startsWith(open) !== true) return undefined;
  const end = tokens.findIndex((token, index) => index >= start && token.includes(close));
  return end < 0 ? undefined : { text: tokens.slice(start, end + 1).join(' '), length: end + 1 - start };
}

/** `used/totalMB` and `(lfb NxSIZE)`, `(lfb SIZE)` or `(cached SIZE)`. */
function parseMemory(amounts: string, details: string): TegrastatsMemory | undefined {
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

/** `[X%@F,X%,off]`, followed by `@F` if all cores share a clock. */
function parseCores(text: string, other: string[]): TegrastatsCore[] {
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
function parseUnit(text: string): TegrastatsUnit | undefined {
  if (text === 'off') return { online: false };
  const [all, load, list, single, bare] =
    /^(?=.)(?:(\d+(?:\.\d+)?)%)?(?:@(?:\[(\d+(?:,\d+)*)\]|(\d+)))?$|^(\d+)$/.exec(text) ?? [];
  if (all === undefined) return undefined;
  const clocks = list?.split(',') ?? [single ?? bare].filter((clock) => clock !== undefined);
  return {
    online: true,
    ...(load !== undefined && { loadPercent: Number(load) }),
    ...(clocks.length > 0 && { megahertz: clocks.map(Number) }),
  };
}

/** `name@TC` or `name@nowC/maxC`. */
function parseTemperature(token: string): TegrastatsTemperature | undefined {
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

/** `RAIL now/average` with or without `mW`, and `/max` from JetPack 7 on. */
function parseRail(rail: string, text: string): TegrastatsRail | undefined {
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
