/** Ways to damage a file: bits and lengths anywhere, and values and keys if the file is JSON or begins with it. */
import type { KeyedRandom } from '@contextlora/lora';

export type MutationKind =
  'bits' | 'bytes' | 'integer' | 'cut' | 'insert' | 'repeat' | 'json value' | 'json key' | 'json text';

export interface Mutated {
  readonly bytes: Uint8Array;
  readonly kind: MutationKind;
}

/** A damaged copy. */
export function mutate(original: Uint8Array, name: string, random: Random): Mutated {
  const kinds: MutationKind[] = ['bits', 'bytes', 'integer', 'cut', 'insert', 'repeat'];
  const json: MutationKind[] = ['json value', 'json key', 'json text'];
  const isJson = name.endsWith('.json');
  const isSafetensors = name.endsWith('.safetensors');
  const pool = isJson ? [...json, ...json, ...kinds] : isSafetensors ? [...kinds, ...json] : kinds;
  const kind = pool[random.integer(pool.length)]!;
  if (isJson)
    return { kind, bytes: mutateText(original, kind, random) ?? mutateBytes(original, kind, random) };
  if (isSafetensors && json.includes(kind)) {
    const length = Number(new DataView(original.buffer, original.byteOffset).getBigUint64(0, true));
    const header = mutateText(original.subarray(8, 8 + length), kind, random)!;
    const prefix = new Uint8Array(8);
    new DataView(prefix.buffer).setBigUint64(0, BigInt(header.length), true);
    return { kind, bytes: Buffer.concat([prefix, header, original.subarray(8 + length)]) };
  }
  return { kind, bytes: mutateBytes(original, kind, random) };
}

type Random = KeyedRandom;

/** Most headers are at the front, so half of all positions are among the first 4096 bytes. */
const placeIn = (length: number, random: Random) =>
  random.integer(Math.max(1, random.integer(2) === 0 ? Math.min(length, 4096) : length));

function mutateBytes(original: Uint8Array, kind: MutationKind, random: Random): Uint8Array {
  const bytes = Uint8Array.from(original);
  const at = placeIn(bytes.length, random);
  switch (kind) {
    case 'bits':
      for (let n = 1 + random.integer(8); n > 0; n--)
        bytes[placeIn(bytes.length, random)]! ^= 1 << random.integer(8);
      return bytes;
    case 'integer': {
      const values = [
        0n,
        1n,
        2n ** 31n,
        2n ** 32n - 1n,
        2n ** 53n,
        2n ** 63n,
        2n ** 64n - 1n,
        BigInt(bytes.length),
      ];
      const view = new DataView(bytes.buffer);
      const place = Math.min(at, bytes.length - 8);
      if (place >= 0) view.setBigUint64(place, values[random.integer(values.length)]!, true);
      return bytes;
    }
    case 'cut':
      return bytes.subarray(0, at);
    case 'insert':
      return Buffer.concat([
        bytes.subarray(0, at),
        bytes.subarray(at, at + 1 + random.integer(16)),
        bytes.subarray(at),
      ]);
    case 'repeat': {
      const length = 1 + random.integer(64);
      bytes.copyWithin(placeIn(bytes.length, random), at, at + length);
      return bytes;
    }
    default:
      for (let n = 0; n < 1 + random.integer(8) && at + n < bytes.length; n++)
        bytes[at + n] = random.integer(256);
      return bytes;
  }
}

const values: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1,
  1.5,
  2 ** 31,
  2 ** 53,
  1e308,
  -1e308,
  '',
  'x',
  '__proto__',
  '../../etc/passwd',
  '(a+)+$',
  '[',
  [],
  [1],
  [[[]]],
  {},
  { a: 1 },
  'F32',
  'Q4',
  'BPE',
  'llama',
];
const keys = ['__proto__', 'constructor', 'toString', '__metadata__', '', 'model', 'a'.repeat(300)];

function mutateText(original: Uint8Array, kind: MutationKind, random: Random): Uint8Array | undefined {
  if (!kind.startsWith('json')) return undefined;
  const text = Buffer.from(original).toString();
  if (kind === 'json text') {
    const at = random.integer(text.length);
    const tokens = [
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '\\u0000',
      '\\',
      ' '.repeat(100),
      '['.repeat(5000),
      '1e999',
      '"a":1,',
    ];
    return Buffer.from(
      text.slice(0, at) + tokens[random.integer(tokens.length)]! + text.slice(at + random.integer(3)),
    );
  }
  const value = JSON.parse(text) as unknown;
  for (let n = 1 + random.integer(3); n > 0; n--) {
    const holder = pick(value, random);
    const own = Object.keys(holder);
    if (own.length === 0) continue;
    const key = own[random.integer(own.length)]!;
    if (kind === 'json value') holder[key] = structuredClone(values[random.integer(values.length)]);
    else {
      const moved = holder[key];
      const to =
        random.integer(2) === 0 ? keys[random.integer(keys.length)]! : own[random.integer(own.length)]!;
      Reflect.deleteProperty(holder, key);
      Object.defineProperty(holder, to, {
        value: moved,
        enumerable: true,
        configurable: true,
        writable: true,
      });
    }
  }
  return Buffer.from(JSON.stringify(value));
}

/** A random object or array, not only from the largest part. */
function pick(value: unknown, random: Random): Record<string, unknown> {
  let holder = value as Record<string, unknown>;
  for (let depth = random.integer(6); depth > 0; depth--) {
    const inner = Object.values(holder).filter((child) => typeof child === 'object' && child !== null);
    if (inner.length === 0) break;
    holder = inner[random.integer(inner.length)] as Record<string, unknown>;
  }
  return holder;
}
