/** The part of `adapter_config.json` that decides what an adapter computes; everything else that would change it is refused. */
import { LoraError } from '../lora-error.js';

/** What PEFT puts before every name in `adapter_model.safetensors`. */
export const tensorPrefix = 'base_model.model.';

export interface PeftConfig {
  readonly alpha: number;
  readonly alphaPattern: readonly { readonly pattern: RegExp; readonly alpha: number }[];
  readonly rslora: boolean;
  readonly all: Readonly<Record<string, unknown>>;
}

/**
 * Parses `adapter_config.json`.
 *
 * @throws LoraError when it is not JSON (`LORA_FILE_DAMAGED`), or asks for what is not supported (`LORA_ADAPTER_UNUSABLE`).
 */
export function parsePeftConfig(text: string, path: string): PeftConfig {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw damaged(`${path} is not JSON`, cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw damaged(`${path} is not a JSON object`);
  const all = value as Record<string, unknown>;
  const patterns = alphaPatterns(all['alpha_pattern']);
  const problems = [
    ...(all['peft_type'] === 'LORA'
      ? []
      : [`peft_type is ${JSON.stringify(all['peft_type'])}, only "LORA" is supported`]),
    ...unsupportedKeys
      .filter((key) => isSet(all[key]))
      .map((key) => `${key} is ${JSON.stringify(all[key])}, which is not supported`),
    ...(all['use_dora'] ? ['use_dora is true; DoRA is not supported'] : []),
    ...(all['fan_in_fan_out'] ? ['fan_in_fan_out is true; it is not supported'] : []),
    ...(all['bias'] === undefined || all['bias'] === 'none' ? [] : ['bias must be "none"']),
    ...(Number.isFinite(all['lora_alpha']) ? [] : ['lora_alpha is not a number']),
    ...patterns.problems,
  ];
  if (problems.length > 0)
    throw new LoraError('LORA_ADAPTER_UNUSABLE', 'readPeftFolder', `${path}:`, { problems });
  return {
    alpha: all['lora_alpha'] as number,
    alphaPattern: patterns.read,
    rslora: all['use_rslora'] === true,
    all,
  };
}

/** Settings that change what an adapter computes and that are not implemented here. */
const unsupportedKeys = [
  'lora_bias',
  'use_qalora',
  'layer_replication',
  'trainable_token_indices',
  'target_parameters',
];
const isSet = (value: unknown) =>
  value !== undefined && value !== null && value !== false && !(Array.isArray(value) && value.length === 0);

/**
 * PEFT matches the keys of its patterns against the end of the module path: `^(.*\.)?KEY$`.
 *
 * A key is an expression from an untrusted file: one that could take long to match (a repeated group, many repetitions) is refused.
 */
function alphaPatterns(value: unknown): { read: PeftConfig['alphaPattern']; problems: readonly string[] } {
  if (value === undefined || value === null) return { read: [], problems: [] };
  if (typeof value !== 'object' || Array.isArray(value))
    return { read: [], problems: ['alpha_pattern is not an object'] };
  const read: { pattern: RegExp; alpha: number }[] = [];
  const problems: string[] = [];
  for (const [key, alpha] of Object.entries(value)) {
    const shown = JSON.stringify(key.slice(0, 80));
    const repetitions = key.match(/[*+{]/g)?.length ?? 0;
    if (typeof alpha !== 'number' || !Number.isFinite(alpha))
      problems.push(`alpha_pattern ${shown} is not a number`);
    else if (key.length > 256 || /\)[*+{?]/.test(key) || repetitions > 3)
      problems.push(`alpha_pattern ${shown} is too intricate an expression; name the modules instead`);
    else
      try {
        read.push({ pattern: new RegExp(`^(?:.*\\.)?(?:${key})$`), alpha });
      } catch {
        problems.push(`alpha_pattern ${shown} is not a regular expression`);
      }
  }
  return { read, problems };
}

/** The scale of a module of a given rank. */
export function scaleFor(module: string, rank: number, { alpha, alphaPattern, rslora }: PeftConfig): number {
  const moduleAlpha = alphaPattern.find(({ pattern }) => pattern.test(module))?.alpha ?? alpha;
  return rslora ? moduleAlpha / Math.sqrt(rank) : moduleAlpha / rank;
}

const damaged = (what: string, cause?: unknown) =>
  new LoraError('LORA_FILE_DAMAGED', 'readPeftFolder', what, { cause });
