/** Compiles a subset of JSON Schema to an automaton over the bytes of the JSON texts that meet it. */
import type { AutomatonBuilder, Place } from './byte-automaton.js';

type Schema = Readonly<Record<string, unknown>>;

/** Bounds for values that the schema does not bound; without them a model could continue forever. */
export interface JsonBounds {
  /** The most characters of a string without `maxLength`. @default 256 */
  readonly maximumLength?: number;
  /** The most items of an array without `maxItems`. @default 16 */
  readonly maximumItems?: number;
}

const ignored = ['title', 'description', 'default', 'examples', '$schema', '$id', '$comment', 'deprecated'];
const keywords: Readonly<Record<string, readonly string[]>> = {
  object: ['properties', 'required', 'additionalProperties'],
  string: ['minLength', 'maxLength'],
  array: ['items', 'minItems', 'maxItems'],
  number: [],
  integer: [],
  boolean: [],
  null: [],
};
/** Digits before and after the decimal point: a double holds them without overflow. */
const [wholeDigits, fractionDigits] = [15, 6];

/** Everything unsupported in a schema, each with its path; empty if the schema can be used. */
export function schemaProblems(schema: unknown, path = '#'): string[] {
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema))
    return [`${path}: a schema must be an object, got ${JSON.stringify(schema)}`];
  const { type, ...rest } = schema as Schema;
  const given = Object.keys(rest).filter((key) => !ignored.includes(key));
  const others = (known: readonly string[]) =>
    given
      .filter((key) => !known.includes(key))
      .map((key) => `${path}/${escapePointer(key)}: this keyword is not supported${besides(known)}`);
  if ('anyOf' in rest) {
    const options = rest['anyOf'];
    if (!Array.isArray(options) || options.length === 0) return [`${path}/anyOf: must be a list of schemas`];
    return [
      ...others(['anyOf']),
      ...(options as unknown[]).flatMap((option, i) => schemaProblems(option, `${path}/anyOf/${i}`)),
    ];
  }
  if ('enum' in rest || 'const' in rest) {
    const values = 'enum' in rest ? rest['enum'] : [rest['const']];
    if (!Array.isArray(values) || values.length === 0) return [`${path}/enum: must be a list of values`];
    return [
      ...others(['enum', 'const']),
      ...values.flatMap((value: unknown, i) => {
        if (typeof value === 'object' && value !== null)
          return [`${path}/enum/${i}: only strings, numbers, booleans and null can be listed`];
        return type === undefined || fits(value, type)
          ? []
          : [`${path}/enum/${i}: ${JSON.stringify(value)} is not of type ${JSON.stringify(type)}`];
      }),
    ];
  }
  const types = Array.isArray(type) ? (type as unknown[]) : [type];
  const unknown = types.filter((name) => typeof name !== 'string' || !Object.hasOwn(keywords, name));
  if (unknown.length > 0 || types.length === 0)
    return [
      `${path}/type: must be one of ${Object.keys(keywords).join(', ')}, or a list of them, got ${type === undefined ? 'none' : JSON.stringify(type)}`,
    ];
  return [
    ...others(types.flatMap((name) => keywords[name as string] ?? [])),
    ...(types.includes('object') ? objectProblems(rest, path) : []),
    ...(types.includes('array') ? arrayProblems(rest, path) : []),
    ...(types.includes('string') ? rangeProblems(rest, path, ['minLength', 'maxLength']) : []),
  ];
}

function objectProblems(
  { properties = {}, required = [], additionalProperties }: Schema,
  path: string,
): string[] {
  if (typeof properties !== 'object' || properties === null || Array.isArray(properties))
    return [`${path}/properties: must be an object`];
  const names = Array.isArray(required) ? (required as unknown[]) : [required];
  return [
    ...names
      .filter((name) => typeof name !== 'string' || !Object.hasOwn(properties, name))
      .map((name) => `${path}/required: ${JSON.stringify(name)} is not among the properties`),
    ...(additionalProperties === undefined || typeof additionalProperties === 'boolean'
      ? []
      : [`${path}/additionalProperties: only true and false are supported; no other properties are written`]),
    ...Object.entries(properties).flatMap(([name, inner]) =>
      schemaProblems(inner, `${path}/properties/${escapePointer(name)}`),
    ),
  ];
}

function arrayProblems({ items, ...rest }: Schema, path: string): string[] {
  return [
    ...(items === undefined ? [`${path}/items: is needed`] : schemaProblems(items, `${path}/items`)),
    ...rangeProblems(rest, path, ['minItems', 'maxItems']),
  ];
}

function rangeProblems(schema: Schema, path: string, [low, high]: readonly [string, string]): string[] {
  const bad = [low, high].filter((key) => {
    const value = schema[key];
    return value !== undefined && !(Number.isInteger(value) && (value as number) >= 0);
  });
  if (bad.length > 0)
    return bad.map(
      (key) => `${path}/${key}: must be 0 or a positive integer, got ${JSON.stringify(schema[key])}`,
    );
  const [least, most] = [schema[low] as number | undefined, schema[high] as number | undefined];
  return least !== undefined && most !== undefined && least > most
    ? [`${path}/${low}: ${least} is more than ${high} ${most}`]
    : [];
}

function fits(value: unknown, type: unknown): boolean {
  const name = value === null ? 'null' : typeof value;
  return (Array.isArray(type) ? (type as unknown[]) : [type]).some(
    (wanted) => wanted === name || (wanted === 'integer' && Number.isInteger(value)),
  );
}

const besides = (known: readonly string[]) => (known.length > 0 ? `; here ${known.join(', ')} are` : '');
const escapePointer = (key: string) => key.replaceAll('~', '~0').replaceAll('/', '~1');

/**
 * The place where the texts of a supported schema begin. All properties are written in the order of the schema, separated by ", ", with
 * ": " after each name, as in most of the JSON in training data.
 */
export function compileSchema(
  schema: unknown,
  builder: AutomatonBuilder,
  { maximumLength = 256, maximumItems = 16 }: JsonBounds,
): Place {
  const text = (value: string, next: Place) => builder.literal(new TextEncoder().encode(value), next);
  const compile = (of: unknown, next: Place): Place => {
    const given = of as Schema;
    const { type } = given;
    if (Array.isArray(given['anyOf']))
      return builder.either(given['anyOf'].map((option) => compile(option, next)));
    if ('enum' in given)
      return builder.either((given['enum'] as unknown[]).map((value) => text(JSON.stringify(value), next)));
    if ('const' in given) return text(JSON.stringify(given['const']), next);
    if (Array.isArray(type))
      return builder.either(type.map((name: unknown) => compile({ ...given, type: name }, next)));
    switch (type) {
      case 'object': {
        const properties = Object.entries((given['properties'] ?? {}) as Record<string, unknown>);
        return properties.reduceRight(
          (rest, [name, inner], i) =>
            text(`${i === 0 ? '{' : ', '}${JSON.stringify(name)}: `, compile(inner, rest)),
          text(properties.length === 0 ? '{}' : '}', next),
        );
      }
      case 'array': {
        const least = (given['minItems'] ?? 0) as number;
        const most = (given['maxItems'] ?? Math.max(least, maximumItems)) as number;
        const close = text(']', next);
        let rest = close;
        // After i items.
        for (let i = most - 1; i >= 1; i--) {
          const more = text(', ', compile(given['items'], rest));
          rest = i >= least ? builder.either([more, close]) : more;
        }
        const ways = [...(most > 0 ? [compile(given['items'], rest)] : []), ...(least === 0 ? [close] : [])];
        return text('[', builder.either(ways));
      }
      case 'string': {
        const least = (given['minLength'] ?? 0) as number;
        const most = (given['maxLength'] ?? Math.max(least, maximumLength)) as number;
        const close = text('"', next);
        let rest = close;
        for (let i = most - 1; i >= 0; i--) {
          const more = character(builder, rest);
          rest = i >= least ? builder.either([more, close]) : more;
        }
        return text('"', rest);
      }
      case 'integer':
        return builder.either([whole(builder, next), text('-', whole(builder, next))]);
      case 'number': {
        const fraction = builder.either([text('.', digits(builder, fractionDigits, next)), next]);
        return builder.either([whole(builder, fraction), text('-', whole(builder, fraction))]);
      }
      case 'boolean':
        return builder.either([text('true', next), text('false', next)]);
      default:
        return text('null', next);
    }
  };
  return compile(schema, builder.end);
}

const [zero, one, nine] = [0x30, 0x31, 0x39];

/** One to `most` digits. */
function digits(builder: AutomatonBuilder, most: number, next: Place): Place {
  let rest = next;
  for (let i = most - 1; i >= 1; i--) rest = builder.either([builder.oneOf([[zero, nine, rest]]), next]);
  return builder.oneOf([[zero, nine, rest]]);
}

/** 0, or digits that do not start with 0. */
function whole(builder: AutomatonBuilder, next: Place): Place {
  const more = builder.either([digits(builder, wholeDigits - 1, next), next]);
  return builder.oneOf([
    [zero, zero, next],
    [one, nine, more],
  ]);
}

/** One character of a JSON string, as UTF-8 or as a short escape. */
function character(builder: AutomatonBuilder, next: Place): Place {
  const last = builder.oneOf([[0x80, 0xbf, next]]);
  const lastTwo = builder.oneOf([[0x80, 0xbf, last]]);
  const lastThree = builder.oneOf([[0x80, 0xbf, lastTwo]]);
  const escaped = builder.oneOf(
    Array.from('"\\/bfnrt', (escape) => [escape.charCodeAt(0), escape.charCodeAt(0), next]),
  );
  // No overlong forms, no surrogates, nothing above U+10FFFF (RFC 3629).
  return builder.oneOf([
    [0x20, 0x21, next],
    [0x23, 0x5b, next],
    [0x5c, 0x5c, escaped],
    [0x5d, 0x7f, next],
    [0xc2, 0xdf, last],
    [0xe0, 0xe0, builder.oneOf([[0xa0, 0xbf, last]])],
    [0xe1, 0xec, lastTwo],
    [0xed, 0xed, builder.oneOf([[0x80, 0x9f, last]])],
    [0xee, 0xef, lastTwo],
    [0xf0, 0xf0, builder.oneOf([[0x90, 0xbf, lastTwo]])],
    [0xf1, 0xf3, lastThree],
    [0xf4, 0xf4, builder.oneOf([[0x80, 0x8f, lastTwo]])],
  ]);
}
