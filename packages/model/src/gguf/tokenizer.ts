/**
 * Converts a GGUF file's tokenizer to the `tokenizer.json` and `tokenizer_config.json` of the Hugging Face layout.
 *
 * `tokenizer.ggml.model` is "gpt2" (byte-level BPE with merges, split by the expression that `tokenizer.ggml.pre` names) or "llama"
 * (SentencePiece BPE with scores and byte fallback; its merges are rebuilt from the scores, as transformers does on conversion).
 */
import { ModelError, type ModelErrorCode } from '../model-error.js';
import type { TokenizerFiles } from '../text/tokenizer.js';
import type { GgufHeader, GgufValue } from './header.js';

/** How texts are split, from the tokenizer.json of each family. */
const splits = {
  gpt2: undefined,
  llama3:
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  qwen2:
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  digits: undefined,
} as const;

interface Family {
  readonly split: keyof typeof splits;
  /** A word that is a token is never merged from parts. */
  readonly ignoresMerges?: boolean;
  /** Texts begin with the begin token unless the file says otherwise. */
  readonly addsBegin?: boolean;
}
const llama3: Family = { split: 'llama3', ignoresMerges: true, addsBegin: true };
/** Values of `tokenizer.ggml.pre`, as llama.cpp writes and reads them (llama-vocab.cpp). */
const families: Readonly<Record<string, Family>> = {
  'gpt-2': { split: 'gpt2' },
  mpt: { split: 'gpt2' },
  olmo: { split: 'gpt2' },
  'phi-2': { split: 'gpt2' },
  'llama-bpe': llama3,
  'llama-v3': llama3,
  llama3,
  'smaug-bpe': { split: 'llama3' },
  qwen2: { split: 'qwen2' },
  'deepseek-r1-qwen': { split: 'qwen2' },
  smollm: { split: 'digits' },
  starcoder: { split: 'digits' },
  refact: { split: 'digits' },
  'command-r': { split: 'digits' },
};

/** Values of `token_type`. */
const [unknownToken, controlToken, userToken] = [2, 3, 4];

/** @throws ModelError naming the file when the tokenizer is missing, of another kind, or its parts contradict each other. */
export function ggufTokenizer({ metadata }: GgufHeader, path: string): TokenizerFiles {
  const refuse = (what: string, code: ModelErrorCode = 'MODEL_FILE_DAMAGED'): never => {
    throw new ModelError(code, 'ggufTokenizer', `${path}: ${what}`);
  };
  const kind = metadata.get('tokenizer.ggml.model');
  const tokens = metadata.get('tokenizer.ggml.tokens');
  if (!isTexts(tokens) || tokens.length === 0) return refuse('it has no "tokenizer.ggml.tokens"');
  const types = metadata.get('tokenizer.ggml.token_type');
  if (types !== undefined && !(types instanceof Int32Array && types.length === tokens.length))
    return refuse(`"tokenizer.ggml.token_type" must hold ${tokens.length} integers`);
  const byText = new Map<string, number>();
  for (const [id, token] of tokens.entries()) {
    // Padding entries may repeat; as in llama.cpp, the first keeps the name.
    if (!byText.has(token)) byText.set(token, id);
  }
  const typeOf = (id: number) => (types instanceof Int32Array ? types[id] : 1);
  const added = tokens.flatMap((content, id) => {
    const type = typeOf(id);
    const special = type === controlToken || type === unknownToken;
    if ((!special && type !== userToken) || content === '') return [];
    return [{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special }];
  });
  // `fromEntries` makes "__proto__" a key like any other.
  const vocab = Object.fromEntries(byText);
  const shared = { version: '1.0', truncation: null, padding: null, added_tokens: added };
  const special = (name: string) => {
    const id = metadata.get(`tokenizer.ggml.${name}_token_id`);
    return typeof id === 'number' ? tokens[id] : undefined;
  };
  if (metadata.get('tokenizer.ggml.remove_extra_whitespaces') === true)
    return refuse('"tokenizer.ggml.remove_extra_whitespaces" is not supported', 'MODEL_UNSUPPORTED');
  const config = {
    bos_token: special('bos'),
    eos_token: special('eos'),
    unk_token: special('unknown'),
    pad_token: special('padding'),
    chat_template: templatesOf(metadata),
  };
  const frame = (addsByDefault: boolean) => ({
    post_processor: framing(metadata, { tokens, addsByDefault, refuse }),
  });
  if (kind === 'gpt2') {
    const family = familyOf(metadata, refuse);
    const parts = byteLevel(metadata, { vocab, byText, refuse, family });
    return { json: { ...shared, ...parts, ...frame(family.addsBegin === true) }, config };
  }
  if (kind === 'llama')
    return {
      json: { ...shared, ...sentencePiece(metadata, { tokens, vocab, byText, refuse }), ...frame(true) },
      config,
    };
  return refuse(
    `a tokenizer of kind ${JSON.stringify(kind)} is not supported; "gpt2" and "llama" are`,
    'MODEL_UNSUPPORTED',
  );
}

/** The file's template, and those that it has under other names. */
function templatesOf(metadata: GgufHeader['metadata']): object[] {
  const names = metadata.get('tokenizer.chat_templates');
  const keys: [name: string, key: string][] = [
    ['default', 'tokenizer.chat_template'],
    ...(isTexts(names) ? names : []).map((name): [string, string] => [
      name,
      `tokenizer.chat_template.${name}`,
    ]),
  ];
  return keys.flatMap(([name, key]) => {
    const template = metadata.get(key);
    return typeof template === 'string' ? [{ name, template }] : [];
  });
}

/** The tokens around a plain text, as a post-processor. */
function framing(
  metadata: GgufHeader['metadata'],
  {
    tokens,
    addsByDefault,
    refuse,
  }: Pick<Parts, 'refuse'> & { tokens: readonly string[]; addsByDefault: boolean },
): object {
  const added = (end: 'bos' | 'eos', byDefault: boolean) => {
    const flag = metadata.get(`tokenizer.ggml.add_${end}_token`);
    const id = metadata.get(`tokenizer.ggml.${end}_token_id`);
    const content = typeof id === 'number' ? tokens[id] : undefined;
    if (flag === true && content === undefined)
      return refuse(`"tokenizer.ggml.add_${end}_token" needs "tokenizer.ggml.${end}_token_id"`);
    const isAdded = typeof flag === 'boolean' ? flag : byDefault;
    return isAdded && content !== undefined ? [{ content, ids: [id] }] : [];
  };
  const [before, after] = [added('bos', addsByDefault), added('eos', false)];
  const pieces = (list: readonly { content: string }[]) =>
    list.map(({ content }) => ({ SpecialToken: { id: content } }));
  return {
    type: 'TemplateProcessing',
    single: [...pieces(before), { Sequence: { id: 'A' } }, ...pieces(after)],
    special_tokens: Object.fromEntries([...before, ...after].map(({ content, ids }) => [content, { ids }])),
  };
}

const isTexts = (value: GgufValue | undefined): value is readonly string[] => Array.isArray(value);

interface Parts {
  readonly vocab: Readonly<Record<string, number>>;
  readonly byText: ReadonlyMap<string, number>;
  readonly refuse: (what: string, code?: ModelErrorCode) => never;
}

/** Files of before 2024 do not say how text is split, and guessing gives other ids for numbers and accents. */
function familyOf(metadata: GgufHeader['metadata'], refuse: Parts['refuse']): Family {
  const pre = metadata.get('tokenizer.ggml.pre');
  const family = typeof pre === 'string' && Object.hasOwn(families, pre) ? families[pre] : undefined;
  if (family) return family;
  const known = Object.keys(families).join(', ');
  return refuse(
    pre === undefined
      ? `it does not say how its tokenizer splits text; convert the model again, or add "tokenizer.ggml.pre" (${known}), for example with gguf-new-metadata --pre-tokenizer`
      : `the way its tokenizer splits text ("tokenizer.ggml.pre" ${JSON.stringify(pre)}) is unknown; known are ${known}`,
    'MODEL_UNSUPPORTED',
  );
}

function byteLevel(
  metadata: GgufHeader['metadata'],
  { vocab, byText, refuse, family }: Parts & { family: Family },
): object {
  const lines = metadata.get('tokenizer.ggml.merges');
  if (!isTexts(lines)) return refuse('a "gpt2" tokenizer needs "tokenizer.ggml.merges"');
  const merges = lines.map((line, i) => {
    const space = line.indexOf(' ', 1);
    const pair = [line.slice(0, space), line.slice(space + 1)];
    if (space < 0 || pair.some((part) => part === '') || !byText.has(pair.join('')))
      return refuse(`merge ${i} ${JSON.stringify(line)} does not make a token of the vocabulary`);
    return pair;
  });
  const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true };
  const split = splits[family.split];
  const first =
    family.split === 'digits'
      ? { type: 'Digits', individual_digits: true }
      : { type: 'Split', pattern: { Regex: split }, behavior: 'Isolated', invert: false };
  return {
    normalizer: family.split === 'qwen2' ? { type: 'NFC' } : null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        ...(family.split === 'gpt2' ? [] : [first]),
        { ...bytes, use_regex: split === undefined },
      ],
    },
    decoder: { ...bytes, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: family.ignoresMerges === true,
      vocab,
      merges,
    },
  };
}

function sentencePiece(
  metadata: GgufHeader['metadata'],
  { tokens, vocab, byText, refuse }: Parts & { tokens: readonly string[] },
): object {
  const scores = metadata.get('tokenizer.ggml.scores');
  if (!(scores instanceof Float32Array) || scores.length !== tokens.length)
    return refuse(`a "llama" tokenizer needs ${tokens.length} numbers in "tokenizer.ggml.scores"`);
  const prefix = metadata.get('tokenizer.ggml.add_space_prefix') ?? true;
  const unknown = metadata.get('tokenizer.ggml.unknown_token_id') ?? 0;
  return {
    normalizer: {
      type: 'Sequence',
      normalizers: [
        ...(prefix === false ? [] : [{ type: 'Prepend', prepend: '▁' }]),
        { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
      ],
    },
    pre_tokenizer: null,
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        ...(prefix === false ? [] : [{ type: 'Strip', content: ' ', start: 1, stop: 0 }]),
      ],
    },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: typeof unknown === 'number' ? (tokens[unknown] ?? null) : null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
      vocab,
      merges: mergesOf(tokens, byText, scores),
    },
  };
}

/** Longer pieces get no merges, because rebuilding them would cost the square of the length. */
const longestPiece = 256;

/**
 * Every way to make a token from two others, best score first, ties in the order of the parts' ids
 * (transformers, convert_slow_tokenizer.py, generate_merges).
 */
function mergesOf(
  tokens: readonly string[],
  byText: ReadonlyMap<string, number>,
  scores: Float32Array,
): [string, string][] {
  const merges: { pair: [string, string]; score: number }[] = [];
  for (const [id, token] of tokens.entries()) {
    if (token.length > longestPiece || byText.get(token) !== id) continue;
    const ways: { pair: [string, string]; ids: [number, number] }[] = [];
    for (let at = 1; at < token.length; at++) {
      const pair: [string, string] = [token.slice(0, at), token.slice(at)];
      const [left, right] = [byText.get(pair[0]), byText.get(pair[1])];
      if (left !== undefined && right !== undefined) ways.push({ pair, ids: [left, right] });
    }
    ways.sort((p, q) => p.ids[0] - q.ids[0] || p.ids[1] - q.ids[1]);
    for (const { pair } of ways) merges.push({ pair, score: scores[id] ?? 0 });
  }
  return merges.sort((p, q) => q.score - p.score).map(({ pair }) => pair);
}
