/**
 * Reads a tekken.json, as Mistral publishes tokenizers, in the form of a tokenizer.json (mistral-common, tokens/tokenizers/tekken.py): ids
 * are those of the special tokens, then the ranks of the vocabulary.
 */
import { ModelError } from '../model-error.js';
import { type Config, partOf, readConfigNumbers, textOf } from '../spec/config-reader.js';
import { bytesAsCharacters } from './byte-characters.js';
import type { TokenizerFiles } from './tokenizer.js';

/** Most of a vocabulary; published ones have 150,000. */
const mostTokens = 2 ** 20;

/** What mistral-common writes of the version of Voxtral; a sound has its place where it stands. */
const templates: Readonly<Record<string, string>> = {
  v7: `{{ bos_token }}{% for message in messages %}{% if message.role == 'system' %}[SYSTEM_PROMPT]{{ message.content }}[/SYSTEM_PROMPT]{% elif message.role == 'user' %}[INST]{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}{% if part.type == 'audio' %}[BEGIN_AUDIO][AUDIO]{% elif part.type == 'text' %}{{ part.text }}{% else %}{{ raise_exception('only texts and sounds can be said') }}{% endif %}{% endfor %}{% endif %}[/INST]{% elif message.role == 'assistant' %}{{ message.content }}{{ eos_token }}{% else %}{{ raise_exception('there is no role ' + message.role) }}{% endif %}{% endfor %}`,
};

/** @throws ModelError when the file is damaged or of another kind. */
export function tekkenTokenizer(file: Config, path: string): Pick<TokenizerFiles, 'json' | 'config'> {
  const read = readConfigNumbers(partOf(file, 'config') ?? {}, `${path}: config`, {
    parser: 'readTokenizer',
  });
  const specialCount = read.count('default_num_special_tokens', { most: 2 ** 16 });
  const size = read.count('default_vocab_size', { most: mostTokens });
  const [pattern, version] = [read.value('pattern'), textOf(read.value('version'))];
  if (typeof pattern !== 'string') read.refuse(`"pattern" is ${textOf(pattern)}, and must be a text`);
  read.done();
  const damaged = (what: string) =>
    new ModelError('MODEL_FILE_DAMAGED', 'readTokenizer', `${path} is not a readable tokenizer (${what})`);
  const [entries, specials] = [file['vocab'], file['special_tokens']];
  if (!Array.isArray(entries) || !Array.isArray(specials))
    throw damaged('"vocab" and "special_tokens" must be lists');
  const tokens = (entries as readonly ({ rank?: unknown; token_bytes?: unknown } | null)[])
    .slice(0, size - specialCount)
    .map((entry, rank) => {
      if (entry?.rank !== rank || typeof entry.token_bytes !== 'string')
        throw damaged(`"vocab" has ${JSON.stringify(entry)} at rank ${rank}`);
      return bytesAsCharacters(Buffer.from(entry.token_bytes, 'base64'));
    });
  const rankOf = new Map(tokens.map((token, rank) => [token, rank]));
  if (rankOf.size !== tokens.length) throw damaged('two tokens of "vocab" have the same bytes');
  const names = new Map<unknown, unknown>();
  for (const special of specials as readonly ({ rank?: unknown; token_str?: unknown } | null)[])
    names.set(special?.rank, special?.token_str);
  const specialTokens = Array.from({ length: specialCount }, (_, id) => {
    const name = names.get(id);
    return typeof name === 'string' ? name : `<SPECIAL_${id}>`;
  });
  return {
    json: {
      model: {
        type: 'BPE',
        vocab: Object.fromEntries([
          ...tokens.map((token, rank) => [token, specialCount + rank]),
          ...specialTokens.map((content, id) => [content, id]),
        ]) as Record<string, number>,
        merges: mergesOf(tokens, rankOf),
      },
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [
          { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false },
          { type: 'ByteLevel', add_prefix_space: false, use_regex: false, trim_offsets: true },
        ],
      },
      decoder: { type: 'ByteLevel', add_prefix_space: false, use_regex: false, trim_offsets: true },
      added_tokens: specialTokens.map((content, id) => ({ id, content, special: true, normalized: false })),
    },
    config: {
      bos_token: '<s>',
      eos_token: '</s>',
      pad_token: '<pad>',
      ...(Object.hasOwn(templates, version) ? { chat_template: templates[version] } : {}),
    },
  };
}

/** The pair that becomes the token of the lowest rank goes first: every division of a token into two, token by token. */
function mergesOf(tokens: readonly string[], rankOf: ReadonlyMap<string, number>): [string, string][] {
  return tokens.flatMap((token) => {
    const pairs: [string, string][] = [];
    for (let at = 1; at < token.length; at++) {
      const pair: [string, string] = [token.slice(0, at), token.slice(at)];
      if (pair.every((half) => rankOf.has(half))) pairs.push(pair);
    }
    return pairs;
  });
}
