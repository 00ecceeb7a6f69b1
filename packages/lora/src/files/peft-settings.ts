/**
 * The settings of `adapter_config.json` (PEFT 0.21, tuners/lora/config.py) that are not acted on, and the values at which they change
 * nothing of what an adapter computes. Any other setting or value is refused: an unknown one may mean another function.
 */

interface Setting {
  readonly changesNothing: (value: unknown) => boolean;
  /** What the setting does, or what to do about it. */
  readonly wayOut?: string;
}

const merge = 'merge the adapter into its base with PEFT (merge_and_unload) and use that model';
const convert =
  'save it with path_initial_model_for_weight_conversion, which makes a plain LoRA of it, or merge it into its base with PEFT';
const plainOnly = 'only an adapter that was trained without it can be used';

const isOff = (value: unknown) => value === null || value === false;
const isNull = (value: unknown) => value === null;
const isEmpty = (value: unknown) => value === null || (Array.isArray(value) && value.length === 0);
const isNameOrNull = (value: unknown) => value === null || typeof value === 'string';
const always = () => true;
/** The settings of one initialisation; they are used when the adapter is made. */
const isRecord = (value: unknown) => value === null || (typeof value === 'object' && !Array.isArray(value));

/** Initialisations whose numbers the file replaces completely; the others also change the base's weights. */
const initialisations: readonly unknown[] = [true, false, null, 'gaussian', 'orthogonal', 'eva', 'mica'];

const settings: Readonly<Record<string, Setting>> = {
  alora_invocation_tokens: { changesNothing: isNull, wayOut: `activated LoRA; ${plainOnly}` },
  arrow_config: { changesNothing: isNull, wayOut: `routing between adapters; ${plainOnly}` },
  auto_mapping: { changesNothing: always },
  base_model_name_or_path: { changesNothing: isNameOrNull },
  bias: { changesNothing: (value) => value === 'none', wayOut: `bias must be "none"; ${merge}` },
  corda_config: { changesNothing: isRecord },
  eva_config: { changesNothing: isRecord },
  fan_in_fan_out: { changesNothing: isOff, wayOut: 'transposed weights; the supported models have none' },
  inference_mode: { changesNothing: always },
  init_lora_weights: {
    changesNothing: (value) => initialisations.includes(value),
    wayOut: `it changes the base's weights as well; ${convert}`,
  },
  kasa_config: { changesNothing: isOff, wayOut: `KaSA changes the base's weights; ${merge}` },
  layer_replication: { changesNothing: isEmpty, wayOut: `repeated layers; ${merge}` },
  loftq_config: { changesNothing: isRecord },
  lora_bias: { changesNothing: isOff, wayOut: `a bias of LoRA; ${merge}` },
  lora_dropout: { changesNothing: (value) => typeof value === 'number' && value >= 0 && value <= 1 },
  lora_ga_config: { changesNothing: isRecord },
  megatron_config: { changesNothing: isNull, wayOut: `layers of Megatron; ${merge}` },
  megatron_core: { changesNothing: isNameOrNull },
  // Of early versions: whether the trainer had merged the weights in memory.
  merge_weights: { changesNothing: isOff },
  monteclora_config: { changesNothing: isOff, wayOut: `MonteCLoRA; ${plainOnly}` },
  peft_version: { changesNothing: isNameOrNull },
  qalora_group_size: { changesNothing: always },
  revision: { changesNothing: isNameOrNull },
  runtime_config: { changesNothing: isRecord },
  target_parameters: { changesNothing: isEmpty, wayOut: `LoRA on parameters; ${merge}` },
  task_type: { changesNothing: isNameOrNull },
  trainable_token_indices: { changesNothing: isNull, wayOut: `trained rows of an embedding; ${merge}` },
  use_bdlora: { changesNothing: isOff, wayOut: `block-diagonal LoRA; ${merge}` },
  use_dora: { changesNothing: isOff, wayOut: `DoRA is not supported; ${merge}` },
  use_qalora: { changesNothing: isOff, wayOut: `QALoRA; ${plainOnly}` },
  velora_config: { changesNothing: isOff, wayOut: `VeLoRA; ${merge}` },
};

/** The settings that `parsePeftConfig` acts on. */
const actedOn: ReadonlySet<string> = new Set([
  'alpha_pattern',
  'ensure_weight_tying',
  'exclude_modules',
  'layers_pattern',
  'layers_to_transform',
  'lora_alpha',
  'modules_to_save',
  'peft_type',
  'r',
  'rank_pattern',
  'target_modules',
  'use_rslora',
]);

/** A problem for every setting that changes what the adapter computes and is not acted on. */
export function unsupportedSettings(config: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(config).flatMap(([key, value]) => {
    if (actedOn.has(key)) return [];
    const setting = Object.hasOwn(settings, key) ? settings[key] : undefined;
    // PEFT writes null for an option that is not used, so a newer version's option does nothing then.
    if (setting ? setting.changesNothing(value) : value === null) return [];
    const wayOut = setting ? (setting.wayOut ?? 'that is no value for it') : `an unknown setting; ${merge}`;
    return [`${key} is ${shown(value)}, which is not supported: ${wayOut}`];
  });
}

/** A value as JSON, cut to a readable length. */
export function shown(value: unknown): string {
  const text = value === undefined ? 'missing' : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}
