/** Reads YAML 1.2 into a plain value, and finds what a parser accepts but nobody means: repeated keys, merge keys, unknown tags. */
import {
  type Document,
  isAlias,
  isNode,
  isScalar,
  LineCounter,
  type Node,
  type ParsedNode,
  parseDocument,
  visit,
} from 'yaml';

/** A problem at an offset of the source. */
interface YamlProblem {
  readonly offset: number;
  readonly message: string;
}

export interface YamlFile {
  /** Undefined if there are problems. */
  readonly value: unknown;
  readonly problems: readonly YamlProblem[];
  /** Line and column of an offset, from 1. */
  positionOf(offset: number): { readonly line: number; readonly column: number };
  /** Where a value is in the source; where its nearest existing ancestor is, when it is missing. */
  offsetOf(path: readonly PropertyKey[]): number;
  /** A scalar as the source has it, without quotes; undefined for anything else. */
  sourceOf(path: readonly PropertyKey[]): string | undefined;
}

/** An alias is a few letters and may stand for many values that hold aliases again: limits for both ways to make a file explode. */
const maximumAliases = 700;
const maximumValues = 1_000_000;

/** Reads the text of a YAML file with one document. */
export function readYaml(text: string): YamlFile {
  const lines = new LineCounter();
  // The parser takes a lone carriage return for a letter. Every line end becomes one character, so lines keep their numbers.
  const source = text.replace(/^\uFEFF/, '').replace(/\r\n?/g, '\n');
  const document = parseDocument(source, {
    lineCounter: lines,
    // Both would be decided by a %YAML directive of the file.
    schema: 'core',
    resolveKnownTags: false,
    // Found below, in linear time.
    uniqueKeys: false,
  });
  const problems: YamlProblem[] = [...document.errors, ...document.warnings].map(
    ({ code, pos, message }) => ({ offset: pos[0], message: explained[code] ?? firstLine(message) }),
  );
  // In broken YAML these would be consequences.
  if (problems.length === 0) problems.push(...keyProblems(document), ...aliasProblems(document));
  const valued = problems.length > 0 ? undefined : valueOf(document);
  if (valued?.problem !== undefined) problems.push({ offset: 0, message: valued.problem });
  const nodeAt = (path: readonly PropertyKey[]): Node | undefined => {
    const node: unknown = path.length === 0 ? document.contents : document.getIn(path, true);
    return isNode(node) ? node : undefined;
  };
  return {
    value: valued?.value,
    problems,
    positionOf(offset) {
      const { line, col } = lines.linePos(offset);
      return { line: Math.max(1, line), column: Math.max(1, col) };
    },
    offsetOf(path) {
      for (let length = path.length; length >= 0; length--) {
        const range = nodeAt(path.slice(0, length))?.range;
        if (range) return range[0];
      }
      return 0;
    },
    sourceOf(path) {
      const node = nodeAt(path);
      const target = isAlias(node) ? node.resolve(document) : node;
      return isScalar(target) ? target.source : undefined;
    },
  };
}

/** Problems whose message in the parser names no way out. */
const explained: Readonly<Record<string, string>> = {
  MULTIPLE_DOCS:
    'a second YAML document begins here; a task file has one, so remove the line "---" or "..." before it',
  RESOURCE_EXHAUSTION: 'lists and maps are nested too deeply here; write fewer levels',
  TAB_AS_INDENT: 'tabs cannot indent in YAML; use spaces',
};

function valueOf(document: Document<ParsedNode>): { value?: unknown; problem?: string } {
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: maximumAliases });
  } catch (cause) {
    if (!(cause instanceof ReferenceError)) throw cause;
    return {
      problem: `an anchor has more than ${maximumAliases} aliases, directly or through other anchors; write fewer of them`,
    };
  }
  const waiting: unknown[] = [value];
  for (let count = 0; waiting.length > 0; count++) {
    if (count + waiting.length > maximumValues)
      return { problem: `its aliases stand for more than ${maximumValues} values; write fewer of them` };
    const next = waiting.pop();
    if (typeof next === 'object' && next !== null)
      for (const inner of Object.values(next)) waiting.push(inner);
  }
  return { value };
}

/** Keys that a map has already had, merge keys, and keys that are no words. */
function keyProblems(document: Document<ParsedNode>): YamlProblem[] {
  const found: YamlProblem[] = [];
  const merges: number[] = [];
  visit(document, {
    Map: (_, { items }) => {
      const seen = new Set<string>();
      for (const { key } of items) {
        const scalar: unknown = isAlias(key) ? key.resolve(document) : key;
        const offset = isNode(key) ? (key.range?.[0] ?? 0) : 0;
        if (!isScalar(scalar)) {
          found.push({ offset, message: 'a key must be a word, not a list or a map' });
          continue;
        }
        // As in the value, where 1 and "1" are one key.
        const name = String(scalar.value);
        if (name === '<<') merges.push(offset);
        else if (name === '__proto__')
          found.push({ offset, message: '"__proto__" cannot be a key; choose another name' });
        else if (seen.has(name))
          found.push({ offset, message: `the key "${name}" is given twice; keys must be unique` });
        seen.add(name);
      }
    },
  });
  const [first] = merges;
  if (first !== undefined)
    found.push({
      offset: first,
      message:
        'merge keys (<<) are not supported; write the fields out, or give single values an anchor and an alias, ' +
        `as in "labels: &words [yes, no]" and "labels: *words"${merges.length > 1 ? ` (${merges.length} merge keys in this file)` : ''}`,
    });
  return found;
}

/** Aliases without an anchor before them. */
function aliasProblems(document: Document<ParsedNode>): YamlProblem[] {
  const anchors = new Set<string>();
  const found: YamlProblem[] = [];
  visit(document, {
    Node: (_, node) => {
      if (!isAlias(node)) {
        if (node.anchor !== undefined) anchors.add(node.anchor);
      } else if (!anchors.has(node.source))
        found.push({
          offset: node.range?.[0] ?? 0,
          message: `the alias *${node.source} has no anchor &${node.source} before it`,
        });
    },
  });
  return found;
}

const firstLine = (text: string) => text.split('\n')[0] ?? text;
