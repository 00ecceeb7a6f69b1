/**
 * Chooses a way for every wave such that all intervals and all moves between them cost least: it starts from the best way of each wave by
 * itself and from the same way for all, then changes one wave at a time while that helps.
 */
import { limits } from '../search/effort.js';
import type { Objective } from '../search/interval-problem.js';
import { type Chain, chainIntervals, type KnownAssessments } from './chain-intervals.js';
import type { WaveWay, WaySettings } from './search-wave.js';

export interface ChosenWaves {
  readonly chain: Chain;
  /** For every wave the ways that lost. */
  readonly rejected: readonly (readonly RejectedWay[])[];
}

/** A way that lost, and what the whole plan would cost with it against the chosen plan's 1. */
export interface RejectedWay extends WaySettings {
  readonly ratio: number;
}

/** With `recut` the cut may change from interval to interval, but the plan that keeps it is considered too. */
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
        (chain = chainIntervals(
          choice.flatMap((way, wave) => ways[wave]![way]!.waves),
          objective,
          chaining,
        )),
      );
    return chain;
  };
  const starts = [
    ways.map(() => 0),
    ...(['inTurn', 'apart', 'together'] as const).map((sharing) =>
      ways.map((wave) =>
        Math.max(
          0,
          wave.findIndex((way) => way.sharing === sharing && !way.withoutCache),
        ),
      ),
    ),
  ];
  let best = starts.reduce((a, b) => (chainOf(b).value < chainOf(a).value ? b : a));
  for (let improved = ways.length <= limits.changedWaves; improved;) {
    improved = false;
    for (const wave of ways.keys())
      for (const way of ways[wave]!.keys()) {
        const changed = best.map((current, index) => (index === wave ? way : current));
        if (chainOf(changed).value < chainOf(best).value * (1 - 1e-12)) {
          best = changed;
          improved = true;
        }
      }
  }
  const chain = chainOf(best);
  const ratioOf = (wave: number, way: number) =>
    ways.length <= limits.changedWaves
      ? chainOf(best.map((current, at) => (at === wave ? way : current))).value / chain.value
      : ways[wave]![way]!.value / ways[wave]![best[wave]!]!.value;
  return {
    chain,
    rejected: ways.map((wave, index) =>
      wave.flatMap(({ sharing, withoutCache }, way) =>
        way === best[index] ? [] : [{ sharing, withoutCache, ratio: ratioOf(index, way) }],
      ),
    ),
  };
}
