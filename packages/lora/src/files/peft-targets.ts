/** Which modules an adapter's settings select, by the rules of PEFT (tuners_utils.py, check_target_module_exists). */
import { expressionProblem, namesMatching } from './peft-expressions.js';
import { shown } from './peft-settings.js';

/** `target_modules` and the settings that narrow it. */
export interface PeftTargets {
  /** Ends of names, or one expression that matches whole names. */
  readonly modules: readonly string[] | string;
  readonly excluded: readonly string[] | string;
  /** The layers that are adapted; undefined for all. */
  readonly layers: readonly number[] | undefined;
  /** Names of the list of layers; empty for any. */
  readonly layersPattern: readonly string[];
  /** `modules_to_save`: modules that the adapter has whole, which PEFT does not adapt as well. */
  readonly saved: readonly string[];
}

/** What PEFT targets in every supported text model when `target_modules` is null (utils/constants.py). */
const usualTargets = ['q_proj', 'v_proj'];

export function parsePeftTargets(config: Readonly<Record<string, unknown>>): {
  targets: PeftTargets;
  problems: readonly string[];
} {
  const problems: string[] = [];
  const namesOf = (key: string, absent: readonly string[]) => {
    const value = config[key];
    if (value === undefined || value === null) return absent;
    if (Array.isArray(value) && value.every((name) => typeof name === 'string')) return value;
    if (typeof value !== 'string') {
      problems.push(`${key} is ${shown(value)}; it must be a list of names or one expression`);
      return absent;
    }
    const problem = expressionProblem(value);
    if (problem !== undefined) problems.push(`${key} ${shown(value)} ${problem}`);
    return value;
  };
  const [modules, excluded, pattern] = [
    namesOf('target_modules', usualTargets),
    namesOf('exclude_modules', []),
    namesOf('layers_pattern', []),
  ];
  const saved = namesOf('modules_to_save', []);
  if (typeof saved === 'string' || saved.includes(''))
    problems.push(`modules_to_save is ${shown(saved)}; it must be a list of names`);
  const layers = config['layers_to_transform'] ?? undefined;
  const layerList = layers === undefined ? [] : [layers].flat();
  if (!layerList.every((layer) => Number.isInteger(layer)))
    problems.push(`layers_to_transform is ${shown(layers)}; it must be a list of layer numbers`);
  const layersPattern = [pattern].flat().filter((name) => name !== '');
  if (layersPattern.some((name) => !/^\w+$/.test(name)))
    problems.push(`layers_pattern is ${shown(pattern)}; only names are supported`);
  if (typeof modules === 'string' && (layerList.length > 0 || layersPattern.length > 0))
    problems.push('layers_to_transform and layers_pattern need a list of names in target_modules');
  return {
    targets: {
      modules,
      excluded,
      layers: layerList.length > 0 ? (layerList as number[]) : undefined,
      layersPattern,
      saved: [saved].flat(),
    },
    problems,
  };
}

/** Those of the names that the targets select. */
export function targetedModules(
  { modules, excluded, layers, layersPattern, saved }: PeftTargets,
  names: readonly string[],
): ReadonlySet<string> {
  const out = typeof excluded === 'string' ? namesMatching(excluded, names) : endingIn(excluded, names);
  const rest = names.filter((name) => !out.has(name) && !isSaved(name, saved));
  if (typeof modules === 'string')
    return modules.toLowerCase() === 'all-linear'
      ? new Set(rest.filter((name) => !/(^|\.)(lm_head|embed_tokens)$/.test(name)))
      : namesMatching(modules, rest);
  const ends = endingIn(modules, rest);
  if (!layers) return ends;
  const whole = new Set(modules);
  return new Set(
    [...ends].filter((name) => whole.has(name) || layers.includes(layerOf(name, layersPattern))),
  );
}

/** Whether `modules_to_save` saves a module: PEFT compares names with the end of its path, or of the path of one that contains it. */
export function isSaved(module: string, saved: readonly string[]): boolean {
  const parts = module.split('.');
  return parts.some((_, i) =>
    saved.some((name) =>
      parts
        .slice(0, i + 1)
        .join('.')
        .endsWith(name),
    ),
  );
}

function endingIn(ends: readonly string[], names: readonly string[]): ReadonlySet<string> {
  const wanted = new Set(ends);
  const matches = (name: string) => {
    for (let dot = -1; ;) {
      if (wanted.has(name.slice(dot + 1))) return true;
      dot = name.indexOf('.', dot + 1);
      if (dot < 0) return false;
    }
  };
  return new Set(names.filter(matches));
}

/** The number that follows the name of the list of layers, or the first number between other parts; NaN if there is none. */
function layerOf(name: string, layersPattern: readonly string[]): number {
  const parts = name.split('.');
  const isNumber = (i: number) => i + 1 < parts.length && /^\d+$/.test(parts[i] ?? '');
  if (layersPattern.length === 0) {
    // PEFT wants two parts in front of it.
    const at = parts.findIndex((_, i) => i >= 2 && isNumber(i));
    return Number(parts[at] ?? NaN);
  }
  for (const pattern of layersPattern) {
    const at = parts.findIndex((part, i) => part === pattern && isNumber(i + 1));
    if (at >= 0) return Number(parts[at + 1]);
  }
  return NaN;
}
