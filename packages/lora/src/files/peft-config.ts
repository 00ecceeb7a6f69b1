/** `adapter_config.json`: what decides what an adapter computes is read, what changes nothing is skipped, everything else is refused. */
import { LoraError } from '../lora-error.js';
import { expressionProblem, namesMatching } from './peft-expressions.js';
import { shown, unsupportedSettings } from './peft-settings.js';
import { parsePeftTargets, type PeftTargets } from './peft-targets.js';

/** What PEFT puts before every name in `adapter_model.safetensors`. */
export const tensorPrefix = 'base_model.model.';

/** Expression for the end of a module's path → number; the first that matches counts. */
type Pattern = readonly (readonly [string, number])[];

export interface PeftConfig {
  readonly rank: number;
  readonly rankPattern: Pattern;
  readonly alpha: number;
  readonly alphaPattern: Pattern;
  readonly rslora: boolean;
  readonly targets: PeftTargets;
  /** `ensure_weight_tying`: what is done to the embedding is done to the output matrix as well. */
  readonly tiesWeights: boolean;
  readonly all: Readonly<Record<string, unknown>>;
}

/**
 * Parses `adapter_config.json`.
 *
 * @throws LoraError when it is not JSON (`LORA_FILE_DAMAGED`), or asks for what is not supported (`LORA_ADAPTER_UNUSABLE`, naming every
 * setting with its value).
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
  const { targets, problems: targetProblems } = parsePeftTargets(all);
  const [ranks, alphas] = [
    parsePattern(all, 'rank_pattern', { holds: isRank, what: 'a whole number above 0' }),
    parsePattern(all, 'alpha_pattern', { holds: isAlpha, what: 'a number above 0' }),
  ];
  // PEFT's default.
  const {
    r: rank = 8,
    lora_alpha: alpha,
    use_rslora: rslora = false,
    ensure_weight_tying: ties = false,
  } = all;
  const problems = [
    ...(all['peft_type'] === 'LORA'
      ? []
      : [`peft_type is ${shown(all['peft_type'])}; only "LORA" is supported`]),
    ...unsupportedSettings(all),
    ...(isRank(rank) ? [] : [`r is ${shown(rank)}; it must be a whole number above 0`]),
    ...(isAlpha(alpha) ? [] : [`lora_alpha is ${shown(alpha)}, not a number above 0`]),
    ...(typeof rslora === 'boolean' ? [] : [`use_rslora is ${shown(rslora)}; it must be true or false`]),
    ...(typeof ties === 'boolean' ? [] : [`ensure_weight_tying is ${shown(ties)}; it must be true or false`]),
    ...targetProblems,
    ...ranks.problems,
    ...alphas.problems,
  ];
  if (problems.length > 0)
    throw new LoraError('LORA_ADAPTER_UNUSABLE', 'readPeftFolder', `${path}:`, { problems });
  return {
    rank: rank as number,
    rankPattern: ranks.pattern,
    alpha: alpha as number,
    alphaPattern: alphas.pattern,
    rslora: rslora as boolean,
    targets,
    tiesWeights: ties as boolean,
    all,
  };
}

const isRank = (value: unknown) => Number.isInteger(value) && (value as number) > 0;
const isAlpha = (value: unknown) => Number.isFinite(value) && (value as number) > 0;

function parsePattern(
  all: Readonly<Record<string, unknown>>,
  key: string,
  { holds, what }: { holds: (value: unknown) => boolean; what: string },
): { pattern: Pattern; problems: readonly string[] } {
  const value = all[key];
  if (value === undefined || value === null) return { pattern: [], problems: [] };
  if (typeof value !== 'object' || Array.isArray(value))
    return { pattern: [], problems: [`${key} is ${shown(value)}, not an object`] };
  const entries = Object.entries(value);
  const problems = entries.flatMap(([expression, entry]) => {
    const problem = expressionProblem(expression);
    return [
      ...(problem === undefined ? [] : [`${key} ${shown(expression)} ${problem}`]),
      ...(holds(entry)
        ? []
        : [`${key} ${shown(expression)} is not a number above 0: ${shown(entry)}; it must be ${what}`]),
    ];
  });
  return { pattern: entries as [string, number][], problems };
}

/** Rank and scale of each module; PEFT matches a pattern against the end of a path, `^(.*\.)?KEY$`. */
export function scalesOf(
  { rank, rankPattern, alpha, alphaPattern, rslora }: PeftConfig,
  modules: readonly string[],
): ReadonlyMap<string, { readonly rank: number; readonly scale: number }> {
  const [ranks, alphas] = [valuesOf(rankPattern, modules), valuesOf(alphaPattern, modules)];
  return new Map(
    modules.map((name) => {
      const [r, a] = [ranks.get(name) ?? rank, alphas.get(name) ?? alpha];
      return [name, { rank: r, scale: rslora ? a / Math.sqrt(r) : a / r }];
    }),
  );
}

function valuesOf(pattern: Pattern, modules: readonly string[]): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  let open = modules;
  for (const [expression, value] of pattern) {
    for (const name of namesMatching(expression, open, { ends: true })) found.set(name, value);
    open = open.filter((name) => !found.has(name));
  }
  return found;
}

const damaged = (what: string, cause?: unknown) =>
  new LoraError('LORA_FILE_DAMAGED', 'readPeftFolder', what, { cause });
