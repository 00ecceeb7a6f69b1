/** The bytes that each token of a tokenizer.json adds to a text. */
import { charactersToBytes } from './byte-characters.js';

interface TokenizerJson {
  readonly model?: {
    readonly vocab?: Readonly<Record<string, number>> | readonly (readonly [string, number])[];
  };
  readonly decoder?: unknown;
  readonly added_tokens?: readonly { readonly id: number }[];
}

/** By id; undefined for added tokens, special ones included, because plain text contains none. */
export function tokenBytesOf(json: object): (Uint8Array | undefined)[] {
  const { model, decoder, added_tokens: added = [] } = json as TokenizerJson;
  const vocabulary = model?.vocab ?? {};
  const entries = Array.isArray(vocabulary)
    ? (vocabulary as [string, number][]).map(([token], id) => [token, id] as const)
    : Object.entries(vocabulary as Record<string, number>);
  const skipped = new Set(added.map(({ id }) => id));
  const isByteLevel = JSON.stringify(decoder ?? null).includes('"ByteLevel"');
  const bytes: (Uint8Array | undefined)[] = [];
  for (const [token, id] of entries) {
    if (skipped.has(id)) continue;
    bytes[id] = isByteLevel ? charactersToBytes(token) : sentencePieceBytes(token);
  }
  return bytes;
}

/** `<0xAB>` is a byte and ▁ a space. */
function sentencePieceBytes(token: string): Uint8Array {
  const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
  return byte === undefined
    ? new TextEncoder().encode(token.replaceAll('\u2581', ' '))
    : Uint8Array.of(parseInt(byte, 16));
}
