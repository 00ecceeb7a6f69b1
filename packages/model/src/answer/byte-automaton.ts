/**
 * Finite sets of byte sequences as automata: built backwards from the end, which excludes cycles, and made deterministic state by state
 * when visited.
 */

/** A state of the automaton under construction. */
export type Place = number;

interface Edge {
  readonly low: number;
  readonly high: number;
  readonly to: Place;
}

export interface AutomatonBuilder {
  /** The place where a sequence is complete. */
  readonly end: Place;
  /** These bytes, then `next`. */
  literal(bytes: Uint8Array, next: Place): Place;
  /** One byte of these ranges `[low, high]`, each with the place it leads to. */
  oneOf(edges: readonly (readonly [number, number, Place])[]): Place;
  /** Any of these places. */
  either(places: readonly Place[]): Place;
  build(start: Place): ByteAutomaton;
}

export interface ByteAutomaton {
  readonly start: number;
  /** The state after a byte, or -1 if no sequence continues with it. */
  step(state: number, byte: number): number;
  /** Whether a sequence may end here. */
  mayEnd(state: number): boolean;
  /** Whether no sequence continues from here. */
  isFinal(state: number): boolean;
  /** The length of the shortest way to an end; Infinity if every way needs a byte that no token provides. */
  bytesToEnd(state: number): number;
}

/** Opens a builder: `canWrite` says which bytes have a token of their own, `limit` bounds the states and `onLimit` throws. */
export function openAutomatonBuilder(
  canWrite: (byte: number) => boolean,
  { limit, onLimit }: { readonly limit: number; readonly onLimit: () => never },
): AutomatonBuilder {
  const edges: (readonly Edge[])[] = [];
  const empties: (readonly Place[])[] = [];
  const distances: number[] = [];
  // The writable bytes below each byte: a range contains some if the counts at its ends differ.
  const counts = [0];
  for (let byte = 0; byte < 256; byte++) counts.push(counts[byte]! + Number(canWrite(byte)));
  const add = (outgoing: readonly Edge[], empty: readonly Place[], distance: number): Place => {
    if (edges.length >= limit) onLimit();
    edges.push(outgoing);
    empties.push(empty);
    distances.push(distance);
    return edges.length - 1;
  };
  const costOf = ({ low, high, to }: Edge) =>
    counts[high + 1]! > counts[low]! ? 1 + distances[to]! : Infinity;
  const oneOf = (given: readonly (readonly [number, number, Place])[]) => {
    const outgoing = given.map(([low, high, to]) => ({ low, high, to }));
    return add(outgoing, [], Math.min(...outgoing.map(costOf)));
  };
  const end = add([], [], 0);
  return {
    end,
    oneOf,
    literal: (bytes, next) => bytes.reduceRight((to, byte) => oneOf([[byte, byte, to]]), next),
    either: (places) => add([], places, Math.min(...places.map((place) => distances[place]!))),
    build: (start) => determinise(start, { edges, empties, distances, end }),
  };
}

interface Automaton {
  readonly edges: readonly (readonly Edge[])[];
  readonly empties: readonly (readonly Place[])[];
  readonly distances: readonly number[];
  readonly end: Place;
}

const unknown = -2;

function determinise(from: Place, { edges, empties, distances, end }: Automaton): ByteAutomaton {
  const sets: (readonly Place[])[] = [];
  const steps: Int32Array[] = [];
  const known = new Map<string, number>();

  const stateOf = (places: Iterable<Place>): number => {
    const all = new Set<Place>();
    const visit = (place: Place) => {
      if (all.has(place)) return;
      all.add(place);
      for (const next of empties[place]!) visit(next);
    };
    for (const place of places) visit(place);
    // A place without outgoing bytes only leads to others, unless it is the end.
    const set = [...all].filter((place) => place === end || edges[place]!.length > 0).sort((a, b) => a - b);
    if (set.length === 0) return -1;
    const key = set.join();
    const found = known.get(key);
    if (found !== undefined) return found;
    known.set(key, sets.length);
    sets.push(set);
    steps.push(new Int32Array(256).fill(unknown));
    return sets.length - 1;
  };

  return {
    start: stateOf([from]),
    step(state, byte) {
      const row = steps[state]!;
      if (row[byte] === unknown) {
        const targets = sets[state]!.flatMap((place) =>
          edges[place]!.filter(({ low, high }) => byte >= low && byte <= high).map(({ to }) => to),
        );
        row[byte] = stateOf(targets);
      }
      return row[byte]!;
    },
    mayEnd: (state) => sets[state]!.includes(end),
    isFinal: (state) => sets[state]!.every((place) => place === end),
    bytesToEnd: (state) => Math.min(...sets[state]!.map((place) => distances[place]!)),
  };
}
