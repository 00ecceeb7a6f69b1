/** Constrains answers to JSON that meets a schema: at each step only tokens that can still lead to such a text are allowed. */
import { ModelError } from '../model-error.js';
import type { TextTokenizer } from '../text/tokenizer.js';
import { type ByteAutomaton, openAutomatonBuilder } from './byte-automaton.js';
import type { ConstraintState, TokenConstraint } from './constraint.js';
import { compileSchema, type JsonBounds, schemaProblems } from './json-schema.js';

/** The most states of an automaton, about 60 MB. */
const stateLimit = 500_000;
/** The number of states whose tokens are remembered. */
const rememberedStates = 256;

/**
 * Makes a constraint for `generate`. The schema may use type (object, array, string, number, integer, boolean, null, or a list of them),
 * properties, required, items, minItems, maxItems, minLength, maxLength, enum, const and anyOf; all properties are written, in their order.
 * Values without a bound in the schema get one, so that an answer always ends; when few tokens remain, only tokens that can still lead to
 * an end are allowed.
 *
 * @throws ModelError listing every unsupported keyword with its path.
 */
export function jsonConstraint(
  tokenizer: TextTokenizer,
  schema: unknown,
  { where = 'the schema', ...bounds }: JsonBounds & { readonly where?: string } = {},
): TokenConstraint {
  const refuse = (lines: readonly string[]): never => {
    throw new ModelError(
      'MODEL_UNSUPPORTED',
      'jsonConstraint',
      [`${where} cannot be used:`, ...lines.map((line) => `  ${line}`)].join('\n'),
    );
  };
  const problems = schemaProblems(schema);
  if (problems.length > 0) refuse(problems);
  const bytesOf = tokenizer.tokenBytes();
  const tokens = sortTokens(bytesOf);
  const single = new Set(tokens.filter(({ bytes }) => bytes.length === 1).map(({ bytes: [byte] }) => byte));
  const builder = openAutomatonBuilder((byte) => single.has(byte), {
    limit: stateLimit,
    onLimit: () =>
      refuse([
        `it allows too many texts (${stateLimit} states); give its strings a maxLength and its arrays a maxItems`,
      ]),
  });
  const automaton = builder.build(compileSchema(schema, builder, bounds));
  const minimumTokens = automaton.bytesToEnd(automaton.start);
  if (minimumTokens === Infinity)
    refuse(['the vocabulary has no tokens for the characters of any text that meets it']);
  const choicesOf = rememberChoices(automaton, tokens);
  return { minimumTokens, start: () => startState(automaton, bytesOf, choicesOf) };
}

interface SortedToken {
  readonly id: number;
  readonly bytes: Uint8Array;
  /** The number of leading bytes that the token shares with the previous one. */
  readonly shared: number;
}

function sortTokens(byId: readonly (Uint8Array | undefined)[]): SortedToken[] {
  const found = [...byId.entries()].flatMap(([id, bytes]) => (bytes?.length ? [{ id, bytes }] : []));
  found.sort((p, q) => Buffer.compare(p.bytes, q.bytes));
  let previous: Uint8Array = new Uint8Array();
  return found.map(({ id, bytes }) => {
    let shared = 0;
    while (shared < bytes.length && shared < previous.length && bytes[shared] === previous[shared]) shared++;
    previous = bytes;
    return { id, bytes, shared };
  });
}

interface Choices {
  readonly ids: Int32Array;
  /** The bytes from each token to the end. */
  readonly rest: Float64Array;
}

/** Finds the tokens that may come in a state by a walk through the sorted vocabulary that skips prefixes with a dead end. */
function rememberChoices(automaton: ByteAutomaton, tokens: readonly SortedToken[]) {
  const longest = tokens.reduce((most, { bytes }) => Math.max(most, bytes.length), 0);
  const remembered = new Map<number, Choices>();
  return (state: number): Choices => {
    const known = remembered.get(state);
    if (known) return known;
    // The state after each byte of the current token.
    const states = new Int32Array(longest + 1);
    states[0] = state;
    const found: number[] = [];
    const rest: number[] = [];
    let dead = Infinity;
    for (const { id, bytes, shared } of tokens) {
      if (shared >= dead) continue;
      dead = Infinity;
      for (let at = shared; at < bytes.length; at++) {
        const next = automaton.step(states[at]!, bytes[at]!);
        if (next < 0) {
          dead = at + 1;
          break;
        }
        states[at + 1] = next;
      }
      if (dead !== Infinity) continue;
      found.push(id);
      rest.push(automaton.bytesToEnd(states[bytes.length]!));
    }
    const choices = { ids: Int32Array.from(found), rest: Float64Array.from(rest) };
    const [oldest] = remembered.keys();
    if (oldest !== undefined && remembered.size >= rememberedStates) remembered.delete(oldest);
    remembered.set(state, choices);
    return choices;
  };
}

function startState(
  automaton: ByteAutomaton,
  bytesOf: readonly (Uint8Array | undefined)[],
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
      // A byte costs at most one token.
      for (let i = 0; i < ids.length; i++) if (rest[i]! <= remaining - 1) mask[ids[i]!] = 1;
    },
    advance(id) {
      for (const byte of bytesOf[id] ?? []) state = automaton.step(state, byte);
    },
  };
}
