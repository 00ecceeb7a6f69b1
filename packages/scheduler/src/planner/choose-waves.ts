/**
 * Chooses a way for every wave such that all segments and all moves between them cost least: starting from the best of each by itself,
 * from the same way for all, and changing one wave at a time while that helps.
 */
import type { Objective } from '../search/interval-problem.js';
import { type Chain, chainSegments, type KnownAssessments } from './chain-intervals.js';
import type { WaveWay } from './search-wave.js';

/** With more waves, changing them one at a time would take long; the starts alone are compared. */
const fewWaves = 10;

export interface ChosenWaves {
  readonly chain: Chain;
  /** For every wave, the ways that lost and what the whole plan would cost with them, against the chosen one's 1. */
  readonly rejected: readonly (readonly { readonly kind: string; readonly ratio: number }[])[];
}

/** With `recut` the cut may change from segment to segment, though the plan that keeps it is weighed too. */
export function chooseWaves(
  ways: readonly (readonly WaveWay[])[],
  objective: Objective,
  recut: boolean,
): ChosenWaves {
  const assessed: KnownAssessments = new WeakMap();
  const kept = chooseChain(ways, objective, { recut: false, known: assessed });
  if (!recut) return kept;
  const changing = chooseChain(ways, objective, { recut: true, known: assessed });
  return kept.chain.value < changing.chain.value ? kept : changing;
}

function chooseChain(
  ways: readonly (readonly WaveWay[])[],
  objective: Objective,
  chaining: { readonly recut: boolean; readonly known: KnownAssessments },
): ChosenWaves {
  const known = new Map<string, Chain>();
  const chainOf = (choice: readonly number[]): Chain => {
    const key = choice.join();
    let chain = known.get(key);
    if (!chain)
      known.set(
        key,
        (chain = chainSegments(
          choice.flatMap((way, wave) => ways[wave]![way]!.waves),
          objective,
          chaining,
        )),
      );
    return chain;
  };
  const starts = [
    ways.map(() => 0),
    ...['one after the other', 'apart, on devices of their own', 'together in one pipeline'].map((kind) =>
      ways.map((wave) =>
        Math.max(
          0,
          wave.findIndex((way) => way.kind === kind),
        ),
      ),
    ),
  ];
  let best = starts.reduce((a, b) => (chainOf(b).value < chainOf(a).value ? b : a));
  for (let improved = ways.length <= fewWaves; improved;) {
    improved = false;
    for (const wave of ways.keys())
      for (const way of ways[wave]!.keys()) {
        const changed = best.map((one, index) => (index === wave ? way : one));
        if (chainOf(changed).value < chainOf(best).value * (1 - 1e-12)) {
          best = changed;
          improved = true;
        }
      }
  }
  const chain = chainOf(best);
  const ratioOf = (wave: number, way: number) =>
    ways.length <= fewWaves
      ? chainOf(best.map((one, at) => (at === wave ? way : one))).value / chain.value
      : ways[wave]![way]!.value / ways[wave]![best[wave]!]!.value;
  return {
    chain,
    rejected: ways.map((wave, index) =>
      wave.flatMap(({ kind }, way) => (way === best[index] ? [] : [{ kind, ratio: ratioOf(index, way) }])),
    ),
  };
}
