/** Reads the settings of a `config.json` and reports everything that is wrong with it in one message. */
import { ModelError } from '../model-error.js';
import { changesNothing } from './harmless-keys.js';

export type Config = Readonly<Record<string, unknown>>;

export interface ConfigReader {
  /** A positive integer up to `most`; 1 if it is wrong, which `done` then reports. */
  count(key: string, options?: { readonly fallback?: number; readonly most?: number }): number;
  /** A value of any type; undefined if it is absent or null. */
  value(key: string): unknown;
  /** Whether the config has a key, be it null. */
  has(key: string): boolean;
  /** true or false; false if it is absent. */
  flag(key: string, options?: { readonly fallback?: boolean }): boolean;
  /** A finite number that is not negative. */
  notNegative(key: string, options?: { readonly fallback?: number }): number;
  /** A positive finite number. */
  positive(key: string, options?: { readonly fallback?: number }): number;
  /** A list of `count` positive finite numbers. */
  positives(key: string, count: number): readonly number[];
  /** Notes another problem. */
  refuse(what: string): void;
  /** Refuses every key that has not been read, unless it changes nothing; `harmless` are keys that do not in this part of a config. */
  refuseOthers(harmless?: readonly string[]): void;
  /** @throws ModelError if anything was wrong. */
  done(): void;
}

/** Opens a reader of a config; in messages `where` names the config or its part, and `parser` the function that reads it. */
export function readConfigNumbers(
  config: Config,
  where: string,
  { parser = 'parseModelSpec' }: { readonly parser?: string } = {},
): ConfigReader {
  const wrong: string[] = [];
  const problems: string[] = [];
  const seen = new Set<string>();
  const given = <T>(key: string, fallback: T) => {
    seen.add(key);
    return (Object.hasOwn(config, key) ? config[key] : undefined) ?? fallback;
  };
  const number = (key: string, fallback: number | undefined, fits: (value: number) => boolean) => {
    const value = given(key, fallback);
    if (typeof value === 'number' && fits(value)) return value;
    wrong.push(`"${key}" is ${JSON.stringify(value)}`);
    return 1;
  };
  return {
    count: (key, { fallback, most = 2 ** 31 - 1 } = {}) =>
      number(key, fallback, (value) => Number.isInteger(value) && value > 0 && value <= most),
    value: (key) => given(key, undefined),
    has: (key) => Object.hasOwn(config, key),
    flag(key, { fallback = false } = {}) {
      const value = given(key, fallback);
      if (typeof value === 'boolean') return value;
      problems.push(`"${key}" is ${short(value)}, and must be true or false`);
      return fallback;
    },
    notNegative: (key, { fallback } = {}) =>
      number(key, fallback, (value) => Number.isFinite(value) && value >= 0),
    positive: (key, { fallback } = {}) =>
      number(key, fallback, (value) => Number.isFinite(value) && value > 0),
    positives(key, count) {
      const value = given(key, undefined);
      const numbers: readonly unknown[] = Array.isArray(value) ? value : [];
      if (numbers.length === count && numbers.every((n) => Number.isFinite(n) && (n as number) > 0))
        return numbers as readonly number[];
      problems.push(
        `"${key}" must hold ${count} positive numbers, and ${Array.isArray(value) ? 'holds' : 'is'} ${short(value)}`,
      );
      return [];
    },
    refuse: (what) => {
      problems.push(what);
    },
    refuseOthers(harmless = []) {
      const others = Object.entries(config).filter(
        ([key, value]) => !seen.has(key) && !changesNothing(key, value, harmless),
      );
      if (others.length > 0)
        problems.push(
          `not supported: ${others.map(([key, value]) => `"${key}": ${short(value)}`).join(', ')}; a setting that does not change what the model computes can be removed`,
        );
    },
    done() {
      const sentences = [
        ...(wrong.length > 0 ? [`needs positive numbers of a plausible size, but ${wrong.join(', ')}`] : []),
        ...problems,
      ];
      if (sentences.length > 0)
        throw new ModelError(
          wrong.length > 0 ? 'MODEL_FILE_DAMAGED' : 'MODEL_UNSUPPORTED',
          parser,
          `${where}: ${sentences.join('; ')}`,
        );
    },
  };
}

/** A value for a message, as JSON and cut if it is long. */
function short(value: unknown): string {
  const json = JSON.stringify(value ?? null);
  return json.length > 80 ? `${json.slice(0, 80)}…` : json;
}

/** A value for a message or a comparison: text as it is, anything else as JSON. */
export const textOf = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value ?? null));

/** A part of a config if it is an object, or undefined. */
export function partOf(config: Config, key: string): Config | undefined {
  const value = Object.hasOwn(config, key) ? config[key] : undefined;
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Config) : undefined;
}
