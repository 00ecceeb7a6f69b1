/** Answers that are JSON of a given schema: at every token only those that can still lead to one are left. */
import { type ByteAutomaton, openAutomatonBuilder } from './byte-automaton.js';
import type { ConstraintState, TokenConstraint } from './generate.js';
import { compileSchema, type JsonBounds, schemaProblems } from './json-schema.js';
import { ModelError } from '../model-error.js';
import type { TextTokenizer } from '../text/tokenizer.js';

/** States of an automaton: some 60 MB. */
const stateLimit = 500_000;
/** States whose tokens are remembered. */
const rememberedStates = 256;

/**
 * A constraint for `generate`. The schema may use type (object, array, string, number, integer, boolean, null, or a list of them),
 * properties, required, items, minItems, maxItems, minLength, maxLength, enum, const and anyOf; all properties are written, in their order.
 * What has no bound in the schema gets one, so that an answer always ends; where few tokens are left, only what can still end is allowed.
 *
 * @throws ModelError that lists every keyword which is not supported, with its path.
 */
export function jsonConstraint(
  tokenizer: TextTokenizer,
  schema: unknown,
  { where = 'the schema', ...bounds }: JsonBounds & { readonly where?: string } = {},
): TokenConstraint {
  const refuse = (lines: readonly string[]): never => {
    throw new ModelError(
      'jsonConstraint',
      [`${where} cannot be used:`, ...lines.map((line) => `  ${line}`)].join('\n'),
    );
  };
  const problems = schemaProblems(schema);
  if (problems.length > 0) refuse(problems);
  const tokens = sortTokens(tokenizer.tokenBytes());
  const single = new Set(tokens.bytes.filter(({ length }) => length === 1).map(([byte]) => byte));
  const builder = openAutomatonBuilder((byte) => single.has(byte), {
    limit: stateLimit,
    onLimit: () =>
      refuse([
        `it allows too many texts (${stateLimit} states); give its strings and arrays a maxLength and maxItems`,
      ]),
  });
  const automaton = builder.build(compileSchema(schema, builder, bounds));
  const minimumTokens = automaton.bytesToEnd(automaton.start);
  if (minimumTokens === Infinity)
    refuse(['the vocabulary has no tokens for the characters of any text that meets it']);
  const choicesOf = rememberChoices(automaton, tokens);
  return { minimumTokens, start: () => startState(automaton, tokens, choicesOf) };
}

interface SortedTokens {
  readonly bytes: readonly Uint8Array[];
  readonly ids: readonly number[];
  /** How many bytes each shares with the one before. */
  readonly shared: readonly number[];
  readonly byId: readonly (Uint8Array | undefined)[];
}

function sortTokens(byId: readonly (Uint8Array | undefined)[]): SortedTokens {
  const found = [...byId.keys()].filter((id) => (byId[id]?.length ?? 0) > 0);
  const ids = found.sort((a, b) => Buffer.compare(byId[a]!, byId[b]!));
  const bytes = ids.map((id) => byId[id]!);
  const shared = bytes.map((own, i) => {
    const before = bytes[i - 1] ?? new Uint8Array();
    let at = 0;
    while (at < own.length && at < before.length && own[at] === before[at]) at++;
    return at;
  });
  return { bytes, ids, shared, byId };
}

interface Choices {
  readonly ids: Int32Array;
  /** Bytes to the end behind each. */
  readonly rest: Float64Array;
}

/** The tokens that may come in a state; a walk through the sorted vocabulary that skips what begins with a dead end. */
function rememberChoices(automaton: ByteAutomaton, { bytes, ids, shared }: SortedTokens) {
  const longest = bytes.reduce((most, { length }) => Math.max(most, length), 0);
  const remembered = new Map<number, Choices>();
  return (state: number): Choices => {
    const known = remembered.get(state);
    if (known) return known;
    // Behind so many bytes of the token at hand.
    const states = new Int32Array(longest + 1);
    states[0] = state;
    const found: number[] = [];
    const rest: number[] = [];
    let dead = Infinity;
    for (const [i, own] of bytes.entries()) {
      let at = shared[i]!;
      if (at >= dead) continue;
      dead = Infinity;
      for (; at < own.length; at++) {
        const next = automaton.step(states[at]!, own[at]!);
        if (next < 0) {
          dead = at + 1;
          break;
        }
        states[at + 1] = next;
      }
      if (dead !== Infinity) continue;
      found.push(ids[i]!);
      rest.push(automaton.bytesToEnd(states[own.length]!));
    }
    const choices = { ids: Int32Array.from(found), rest: Float64Array.from(rest) };
    if (remembered.size >= rememberedStates) remembered.delete(remembered.keys().next().value!);
    remembered.set(state, choices);
    return choices;
  };
}

function startState(
  automaton: ByteAutomaton,
  { byId }: SortedTokens,
  choicesOf: (state: number) => Choices,
): ConstraintState {
  let state = automaton.start;
  return {
    get mayEnd() {
      return automaton.mayEnd(state);
    },
    get isComplete() {
      return automaton.isFinal(state);
    },
    allow(mask, remaining) {
      const { ids, rest } = choicesOf(state);
      // A byte costs a token at most.
      for (let i = 0; i < ids.length; i++) if (rest[i]! <= remaining - 1) mask[ids[i]!] = 1;
    },
    advance(id) {
      for (const byte of byId[id] ?? []) state = automaton.step(state, byte);
    },
  };
}
