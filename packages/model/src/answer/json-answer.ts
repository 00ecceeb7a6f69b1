/** The one text that a constrained answer has for a value: what a model is trained to write and compared with. */
import type { JsonBounds } from './json-schema.js';

/** The text of an answer, or what keeps the value from being one. */
export type JsonAnswer = { readonly text: string } | { readonly problem: string };

type Schema = Readonly<Record<string, unknown>>;
type Bounds = Required<JsonBounds>;

/**
 * Writes a value as `jsonConstraint` writes it: every property of the schema in its order, ", " and ": " between them.
 *
 * The schema must be a supported one (`schemaProblems`). The problem names the place within the value, such as `$.speed`.
 */
export function writeJsonAnswer(
  value: unknown,
  schema: unknown,
  { maximumLength = 256, maximumItems = 16 }: JsonBounds = {},
): JsonAnswer {
  return write(value, schema as Schema, { at: '$', bounds: { maximumLength, maximumItems } });
}

interface Place {
  readonly at: string;
  readonly bounds: Bounds;
}

function write(value: unknown, schema: Schema, place: Place): JsonAnswer {
  const { at } = place;
  const refuse = (what: string): JsonAnswer => ({ problem: `${at} ${what}` });
  if (Array.isArray(schema['anyOf'])) return firstOf(value, schema['anyOf'] as Schema[], place);
  const listed =
    'enum' in schema ? (schema['enum'] as unknown[]) : 'const' in schema ? [schema['const']] : undefined;
  if (listed)
    return listed.includes(value)
      ? { text: JSON.stringify(value) }
      : refuse(`must be ${listed.map((one) => JSON.stringify(one)).join(' or ')}, got ${shown(value)}`);
  const { type } = schema;
  if (Array.isArray(type))
    return firstOf(
      value,
      type.map((name: unknown) => ({ ...schema, type: name })),
      place,
    );
  switch (type) {
    case 'object':
      return writeObject(value, schema, place);
    case 'array':
      return writeArray(value, schema, place);
    case 'string': {
      if (typeof value !== 'string') return refuse(`must be a string, got ${shown(value)}`);
      const length = Array.from(value).length;
      const { minLength: least = 0, maxLength: most = Math.max(least, place.bounds.maximumLength) } =
        schema as { minLength?: number; maxLength?: number };
      if (length < least || length > most)
        return refuse(`has ${length} characters; it may have ${least} to ${most}`);
      const text = JSON.stringify(value);
      return text.replaceAll('\\\\', '').includes('\\u')
        ? refuse('holds a character that no answer has')
        : { text };
    }
    case 'integer':
    case 'number': {
      if (typeof value !== 'number' || (type === 'integer' && !Number.isInteger(value)))
        return refuse(`must be ${type === 'integer' ? 'an integer' : 'a number'}, got ${shown(value)}`);
      const text = JSON.stringify(value);
      // The digits that the constraint writes.
      return /^-?\d{1,15}(\.\d{1,6})?$/.test(text)
        ? { text }
        : refuse(`is ${text}; answers have at most 15 digits before the point and 6 after it`);
    }
    case 'boolean':
      return typeof value === 'boolean'
        ? { text: String(value) }
        : refuse(`must be true or false, got ${shown(value)}`);
    default:
      return value === null ? { text: 'null' } : refuse(`must be null, got ${shown(value)}`);
  }
}

function firstOf(value: unknown, schemas: readonly Schema[], place: Place): JsonAnswer {
  const answers = schemas.map((schema) => write(value, schema, place));
  const fitting = answers.find((answer) => 'text' in answer);
  if (fitting) return fitting;
  const problems = answers.map((answer) => ('problem' in answer ? answer.problem : ''));
  return { problem: problems.join(', or ') };
}

function writeObject(value: unknown, { properties = {} }: Schema, place: Place): JsonAnswer {
  const { at } = place;
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { problem: `${at} must be an object, got ${shown(value)}` };
  const names = Object.keys(properties as Schema);
  const unknown = Object.keys(value).find((name) => !names.includes(name));
  if (unknown !== undefined)
    return {
      problem: `${at} has ${JSON.stringify(unknown)}, which is no property of the schema (${names.join(', ')})`,
    };
  const parts: string[] = [];
  for (const name of names) {
    if (!Object.hasOwn(value, name))
      return { problem: `${at} lacks ${JSON.stringify(name)}; an answer has every property of the schema` };
    const written = write((value as Schema)[name], (properties as Record<string, Schema>)[name] ?? {}, {
      ...place,
      at: `${at}.${name}`,
    });
    if ('problem' in written) return written;
    parts.push(`${JSON.stringify(name)}: ${written.text}`);
  }
  return { text: `{${parts.join(', ')}}` };
}

function writeArray(value: unknown, schema: Schema, place: Place): JsonAnswer {
  const { at, bounds } = place;
  if (!Array.isArray(value)) return { problem: `${at} must be a list, got ${shown(value)}` };
  const {
    items,
    minItems: least = 0,
    maxItems: most = Math.max(least, bounds.maximumItems),
  } = schema as { items?: Schema; minItems?: number; maxItems?: number };
  if (value.length < least || value.length > most)
    return { problem: `${at} has ${value.length} items; it may have ${least} to ${most}` };
  const parts: string[] = [];
  for (const [i, item] of (value as unknown[]).entries()) {
    const written = write(item, items ?? {}, { ...place, at: `${at}[${i}]` });
    if ('problem' in written) return written;
    parts.push(written.text);
  }
  return { text: `[${parts.join(', ')}]` };
}

/** A value in a message. */
function shown(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
