/**
 * The keys of a config.json that do not change what a model computes. Whatever is neither read nor harmless is refused by name, because a
 * key that is not known here may well ask for another computation.
 *
 * The lists are those of transformers 5 (configuration_utils.py, the generation settings that older versions kept in the config, and the
 * configuration of each family), and what published files add to them.
 */
const identity = [
  'architectures',
  'auto_map',
  'custom_pipelines',
  'dtype',
  'finetuning_task',
  'id2label',
  'is_decoder',
  'is_llama_config',
  'label2id',
  'model_max_length',
  'max_sequence_length',
  'model_type',
  'name',
  'name_or_path',
  'num_labels',
  'problem_type',
  'task_specific_params',
  'tokenizer_class',
  'torch_dtype',
  'transformers.js_config',
  'transformers_version',
];

/** How a model is run or trained, not what it computes. */
const running = [
  'attn_implementation',
  'chunk_size_feed_forward',
  'experts_implementation',
  'flash_attention',
  'gradient_checkpointing',
  'initializer_factor',
  'initializer_range',
  'neftune_noise_alpha',
  'output_attentions',
  'output_hidden_states',
  'pretraining_tp',
  'return_dict',
  'tf_legacy_loss',
  'tie_encoder_decoder',
  'torchscript',
  'use_bfloat16',
  'use_cache',
  'use_flash_attention',
];

/** Settings of generation, which are read from generation_config.json or given with each call. */
const generation = [
  'do_sample',
  'diversity_penalty',
  'early_stopping',
  'encoder_no_repeat_ngram_size',
  'length_penalty',
  'max_length',
  'min_length',
  'no_repeat_ngram_size',
  'num_beam_groups',
  'num_beams',
  'num_return_sequences',
  'output_scores',
  'prefix',
  'remove_invalid_values',
  'repetition_penalty',
  'return_dict_in_generate',
  'temperature',
  'top_k',
  'top_p',
  'typical_p',
];

/** Numbers that a family multiplies by, so that 1 changes nothing and 0 does; of all others 0 changes nothing. */
const factor = /multiplier|scal|factor|ratio|(?:rotary|rope)_pct/;

/** Settings of training only, ids of tokens, versions, and what begins with an underscore, which only transformers itself reads. */
const harmlessName = /^_|^unsloth_|dropout|pdrop$|_loss(?:_|$)|_token_ids?$|_version$/;

const harmless: ReadonlySet<string> = new Set([...identity, ...running, ...generation]);

/** Whether a key can be ignored with the value that it has; `others` are the harmless keys of one part of a config. */
export function changesNothing(key: string, value: unknown, others: readonly string[]): boolean {
  if (harmless.has(key) || others.includes(key) || harmlessName.test(key)) return true;
  if (value === null || value === undefined || value === false || value === '') return true;
  if (typeof value === 'object') return Object.keys(value).length === 0;
  return typeof value === 'number' && value === (factor.test(key) ? 1 : 0);
}
