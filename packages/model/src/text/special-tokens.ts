/** The special tokens that a tokenizer_config.json names, as transformers 5 reads them. */
import type { AddedToken } from './added-tokens.js';

type ListedToken = Omit<AddedToken, 'shown'>;

type Config = Readonly<Record<string, unknown>>;

/** What the classes of transformers that keep no tokens of a tokenizer.json assume where the files say nothing. */
const classDefaults: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  LlamaTokenizer: { bos_token: '<s>', eos_token: '</s>', unk_token: '<unk>' },
  CodeLlamaTokenizer: { bos_token: '<s>', eos_token: '</s>', unk_token: '<unk>' },
};

const textOf = (value: unknown): string | undefined => {
  const content =
    typeof value === 'string' ? value : (value as { content?: unknown } | null | undefined)?.content;
  return typeof content === 'string' && content !== '' ? content : undefined;
};

/** The texts of named tokens that the vocabulary has, by their name: `bos_token`, `image_token` and so on. */
export function namedTokens(
  config: Config,
  idOf: (token: string) => number | undefined,
): Record<string, string> {
  const { extra_special_tokens: extra, tokenizer_class: type } = config;
  const defaults = typeof type === 'string' ? classDefaults[type.replace(/Fast$/, '')] : undefined;
  const named = typeof extra === 'object' && extra !== null && !Array.isArray(extra) ? extra : {};
  const entries = Object.entries({ ...defaults, ...named, ...config }).flatMap(([key, value]) => {
    const text = key.endsWith('_token') ? textOf(value) : undefined;
    return text !== undefined && idOf(text) !== undefined ? [[key, text] as const] : [];
  });
  return Object.fromEntries(entries);
}

/**
 * The added tokens of tokenizer.json and those that transformers adds on loading: what `added_tokens_decoder` lists, and named tokens that
 * are only in the vocabulary. All named tokens are special.
 */
export function withListedTokens(
  list: unknown,
  config: Config,
  vocabulary: ReadonlyMap<string, number>,
): unknown {
  if (list !== undefined && !Array.isArray(list)) return list;
  const tokens = [...((list ?? []) as ListedToken[])];
  const known = new Set(tokens.map((token) => token.content));
  const add = (token: ListedToken) => {
    if (known.has(token.content)) return;
    known.add(token.content);
    tokens.push(token);
  };
  const listed = (config['added_tokens_decoder'] ?? {}) as Readonly<Record<string, ListedToken | null>>;
  for (const [id, token] of Object.entries(listed)) {
    const content = textOf(token);
    if (token && content !== undefined)
      add({ normalized: token.special !== true, ...token, content, id: Number(id) });
  }
  const idOf = (content: string) => vocabulary.get(content);
  const { extra_special_tokens: extra, additional_special_tokens: additional } = config;
  const more = [
    Array.isArray(extra) ? (extra as unknown[]) : [],
    Array.isArray(additional) && !extra ? (additional as unknown[]) : [],
  ].flat();
  const named = new Set([
    ...Object.values(namedTokens(config, (content) => (known.has(content) ? 0 : idOf(content)))),
    ...more.flatMap((one) => textOf(one) ?? []),
  ]);
  for (const content of named) {
    const id = idOf(content);
    if (id !== undefined) add({ id, content, normalized: false, special: true });
  }
  return tokens.map((token) => (named.has(token.content) ? { ...token, special: true } : token));
}
