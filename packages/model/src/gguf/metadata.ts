/** Reads the settings of a GGUF file's architecture, such as `llama.block_count`, and refuses those that nothing here acts on. */
import { ModelError } from '../model-error.js';
import type { GgufHeader, GgufValue } from './header.js';

export interface ArchitectureSettings {
  /** The names of settings are without the architecture. */
  readonly value: (key: string) => GgufValue | undefined;
  /** A finite number or undefined; of a list with one number for each layer the number, if all are equal. */
  readonly number: (key: string) => number | undefined;
  readonly refuse: (what: string) => void;
  /** @throws ModelError listing everything that was refused, and every setting that was not read and changes something. */
  readonly done: () => void;
}

/** Settings that llama.cpp does not act on in these architectures, or that change no logit. */
const harmless: readonly string[] = [
  'attention.layer_norm_epsilon',
  'pooling_type',
  'rope.scaling.finetuned',
  'tensor_data_layout',
  'vocab_size',
];

/** Settings with a value that stands for their absence. */
const neutral: Readonly<Record<string, number | boolean>> = {
  'attention.causal': true,
  'rope.scaling.yarn_attn_factor': 1,
  'rope.scaling.yarn_beta_fast': 32,
  'rope.scaling.yarn_beta_slow': 1,
  'rope.scaling.yarn_ext_factor': 1,
};

export function openSettings(
  { metadata }: Pick<GgufHeader, 'metadata'>,
  { architecture, path }: { architecture: string; path: string },
): ArchitectureSettings {
  const prefix = `${architecture}.`;
  const seen = new Set(harmless);
  const problems: string[] = [];
  const refuse = (what: string) => {
    problems.push(what);
  };
  const value = (key: string) => {
    seen.add(key);
    return metadata.get(prefix + key);
  };
  return {
    value,
    number(key) {
      const found = value(key);
      if (found === undefined) return undefined;
      const numbers =
        found instanceof Int32Array || found instanceof Float32Array ? [...found] : [Number(found)];
      const [first] = numbers;
      if (
        (typeof found === 'object' || typeof found === 'number' || typeof found === 'bigint') &&
        first !== undefined &&
        numbers.every(Number.isFinite)
      ) {
        if (numbers.some((other) => other !== first))
          refuse(`"${prefix}${key}" differs between layers (${describe(found)}), which is not supported`);
        return first;
      }
      refuse(`"${prefix}${key}" is ${describe(found)}, and must be a number`);
      return undefined;
    },
    refuse,
    done() {
      const others = [...metadata].filter(
        ([key, found]) =>
          key.startsWith(prefix) &&
          !seen.has(key.slice(prefix.length)) &&
          !changesNothing(key.slice(prefix.length), found),
      );
      if (others.length > 0)
        refuse(`not supported: ${others.map(([key, found]) => `"${key}" = ${describe(found)}`).join(', ')}`);
      if (problems.length > 0)
        throw new ModelError('MODEL_UNSUPPORTED', 'ggufConfig', `${path}: ${problems.join('; ')}`);
    },
  };
}

/** Whether a setting has the value that stands for its absence: false, 0, or 1 for what is multiplied by. */
function changesNothing(key: string, value: GgufValue): boolean {
  if (Object.hasOwn(neutral, key)) return value === neutral[key];
  if (value === false || value === '') return true;
  if (value instanceof Int32Array || value instanceof Float32Array) return value.every((n) => n === 0);
  const number = Number(value);
  return number === 0 || (number === 1 && key.endsWith('scale'));
}

/** A value for a message. */
export function describe(value: unknown): string {
  if (value instanceof Int32Array || value instanceof Float32Array)
    return `[${[...value.subarray(0, 8)].join(', ')}${value.length > 8 ? ', …' : ''}]`;
  // Most are float32, whose other digits are noise.
  if (typeof value === 'number') return String(Number(value.toPrecision(7)));
  if (typeof value === 'bigint') return String(value);
  const text = JSON.stringify(value ?? null);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
