/**
 * What the class `LlamaTokenizer` of transformers 5 makes of a tokenizer.json: it keeps vocabulary, merges, added tokens and the
 * post-processor, and replaces how spaces are marked (tokenization_llama.py).
 */
type Config = Readonly<Record<string, unknown>>;

const classes = ['LlamaTokenizer', 'LlamaTokenizerFast', 'CodeLlamaTokenizer', 'CodeLlamaTokenizerFast'];
/** Architectures for which transformers does not trust the class (MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS). */
const unaffected = ['llava', 'llava_next', 'vipllava', 'phi3', 'smolvlm', 'qwen2'];

/** The tokenizer.json as that class reads it, or unchanged for other classes, architectures and byte-level tokenizers. */
export function asLlamaClass(json: Config, config: Config, architecture: unknown): Config {
  const model = json['model'] as Config | null | undefined;
  const isLlama =
    classes.includes(String(config['tokenizer_class'])) &&
    !unaffected.includes(String(architecture)) &&
    model?.['type'] === 'BPE' &&
    !JSON.stringify([json['pre_tokenizer'], json['decoder']]).includes('"ByteLevel"');
  if (!isLlama) return json;
  const prefixes = config['add_prefix_space'] !== false;
  const scheme = prefixes ? (config['legacy'] === true ? 'always' : 'first') : 'never';
  return {
    ...json,
    normalizer: null,
    pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: scheme, split: false },
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        ...(prefixes ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
      ],
    },
    model: {
      ...model,
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
      unk_token: String(config['tokenizer_class']).startsWith('Code') ? '<unk>' : null,
    },
  };
}
