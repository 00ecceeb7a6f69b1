/** The decoder of a tokenizer.json: turns tokens into text (tokenizers 0.23, decoders/). */
import { ModelError } from '../model-error.js';
import { charactersToBytes } from './byte-characters.js';
import { metaspaceMark, metaspaceScheme } from './pre-tokenizer.js';
import { type Parts, partsOf, regexOf, textIn } from './tokenizer-parts.js';

type DecodeStep = (tokens: string[]) => string[];

/** @throws ModelError for a decoder that is not supported. */
export function openDecoder(json: unknown, where: string): (tokens: string[]) => string {
  if (json === null || json === undefined) return (tokens) => tokens.join(' ');
  const decode = openStep(json, where);
  return (tokens) => decode(tokens).join('');
}

function openStep(json: unknown, where: string): DecodeStep {
  const part = partsOf(json, 'decoder', where);
  const open = decoders[part.type];
  if (!open)
    throw new ModelError(
      'MODEL_UNSUPPORTED',
      'readTokenizer',
      `${where}: the decoder "${part.type}" is not supported; supported are ${Object.keys(decoders).join(', ')}`,
    );
  return open(part, where);
}

const utf8 = { ignoreBOM: true };

const decoders: Readonly<Record<string, (part: Parts, where: string) => DecodeStep>> = {
  Sequence: (part, where) => {
    const steps = (part['decoders'] as unknown[] | undefined)?.map((one) => openStep(one, where)) ?? [];
    return (tokens) => steps.reduce((now, step) => step(now), tokens);
  },
  ByteLevel: () => (tokens) => {
    const bytes = tokens.map((token) => charactersToBytes(token) ?? new TextEncoder().encode(token));
    return [new TextDecoder('utf-8', utf8).decode(Buffer.concat(bytes))];
  },
  ByteFallback: () => (tokens) => {
    const texts: string[] = [];
    let bytes: number[] = [];
    const flush = () => {
      if (bytes.length > 0) texts.push(...textsOfBytes(bytes));
      bytes = [];
    };
    for (const token of tokens) {
      const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
      if (byte !== undefined) bytes.push(parseInt(byte, 16));
      else {
        flush();
        texts.push(token);
      }
    }
    flush();
    return texts;
  },
  Fuse: () => (tokens) => [tokens.join('')],
  Replace: (part, where) => {
    const pattern = regexOf(part['pattern'], where);
    const content = textIn(part, 'content', '');
    return (tokens) => tokens.map((token) => token.replace(pattern, () => content));
  },
  Strip: (part) => {
    const [content, start, stop] = [
      textIn(part, 'content', ' '),
      Number(part['start']),
      Number(part['stop']),
    ];
    return (tokens) =>
      tokens.map((token) => {
        const characters = Array.from(token);
        let [from, to] = [0, characters.length];
        while (from < Math.min(start, to) && characters[from] === content) from++;
        const least = Math.max(from, to - stop);
        while (to > least && characters[to - 1] === content) to--;
        return characters.slice(from, to).join('');
      });
  },
  Metaspace: (part) => {
    const mark = metaspaceMark(part);
    const isStripped = metaspaceScheme(part) !== 'never';
    return (tokens) => tokens.map((token, i) => token.replaceAll(mark, isStripped && i === 0 ? '' : ' '));
  },
  WordPiece: (part) => {
    const prefix = textIn(part, 'prefix', '##');
    const isCleaned = part['cleanup'] !== false;
    return (tokens) =>
      tokens.map((token, i) => {
        const text = i === 0 ? token : token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`;
        return isCleaned ? wordPieceCleanUp(text) : text;
      });
  },
  BPEDecoder: (part) => {
    const suffix = textIn(part, 'suffix', '</w>');
    return (tokens) => tokens.map((token, i) => token.replaceAll(suffix, i === tokens.length - 1 ? '' : ' '));
  },
};

/** Bytes that are not UTF-8 as a whole become one mark each. */
function textsOfBytes(bytes: readonly number[]): string[] {
  try {
    return [new TextDecoder('utf-8', { ...utf8, fatal: true }).decode(Uint8Array.from(bytes))];
  } catch {
    return bytes.map(() => '\ufffd');
  }
}

const wordPieceCleanUp = (text: string) =>
  [
    [' .', '.'],
    [' ?', '?'],
    [' !', '!'],
    [' ,', ','],
    [" ' ", "'"],
    [" n't", "n't"],
    [" 'm", "'m"],
    [' do not', " don't"],
    [" 's", "'s"],
    [" 've", "'ve"],
    [" 're", "'re"],
  ].reduce((now, [from = '', to = '']) => now.replaceAll(from, to), text);
