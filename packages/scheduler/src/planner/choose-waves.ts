/**
 * Chooses an arrangement for every wave such that all intervals and all moves between them cost least: it starts from the best arrangement
 * of each wave by itself and from the same one for all, then changes one wave at a time while that helps.
 */
import { limits } from '../search/effort.js';
import type { Objective } from '../search/interval-problem.js';
import { type Chain, chainIntervals, type KnownAssessments } from './chain-intervals.js';
import type { ArrangementSettings, WaveArrangement } from './search-wave.js';

export interface ChosenWaves {
  readonly chain: Chain;
  /** For every wave the arrangements that lost. */
  readonly rejected: readonly (readonly RejectedArrangement[])[];
}

/** An arrangement that lost, and what the whole plan would cost with it against the chosen plan's 1. */
export interface RejectedArrangement extends ArrangementSettings {
  readonly ratio: number;
}

/**
 * The arrangements chosen among `waves[wave]`, best first.
 *
 * @param recut whether the cut may change from interval to interval; the plan that keeps it is considered too
 */
export function chooseWaves(
  waves: readonly (readonly WaveArrangement[])[],
  objective: Objective,
  recut: boolean,
): ChosenWaves {
  const known: KnownAssessments = new WeakMap();
  const kept = chooseChain(waves, objective, { recut: false, known });
  if (!recut) return kept;
  const changing = chooseChain(waves, objective, { recut: true, known });
  return kept.chain.value < changing.chain.value ? kept : changing;
}

function chooseChain(
  waves: readonly (readonly WaveArrangement[])[],
  objective: Objective,
  chaining: { readonly recut: boolean; readonly known: KnownAssessments },
): ChosenWaves {
  const chains = new Map<string, Chain>();
  /** The chain in which wave i has its arrangement `choice[i]`. */
  const chainOf = (choice: readonly number[]): Chain => {
    const key = choice.join();
    let chain = chains.get(key);
    if (!chain) {
      const options = waves.flatMap((arrangements, wave) => arrangements[choice[wave]!]!.waves);
      chains.set(key, (chain = chainIntervals(options, objective, chaining)));
    }
    return chain;
  };
  const sharedBy = (sharing: WaveArrangement['sharing']) =>
    waves.map((arrangements) =>
      Math.max(
        0,
        arrangements.findIndex((candidate) => candidate.sharing === sharing && !candidate.withoutCache),
      ),
    );
  const starts = [waves.map(() => 0), sharedBy('inTurn'), sharedBy('apart'), sharedBy('together')];
  let best = starts.reduce((a, b) => (chainOf(b).value < chainOf(a).value ? b : a));
  const changesWaves = waves.length <= limits.changedWaves;
  for (let improved = changesWaves; improved;) {
    improved = false;
    for (const [wave, arrangements] of waves.entries())
      for (const index of arrangements.keys()) {
        const changed = best.with(wave, index);
        if (chainOf(changed).value < chainOf(best).value * (1 - 1e-12)) {
          best = changed;
          improved = true;
        }
      }
  }
  const chain = chainOf(best);
  const rejected = waves.map((arrangements, wave) => {
    const chosen = best[wave]!;
    return arrangements.flatMap(({ sharing, withoutCache, value }, index): RejectedArrangement[] => {
      if (index === chosen) return [];
      const ratio = changesWaves
        ? chainOf(best.with(wave, index)).value / chain.value
        : value / arrangements[chosen]!.value;
      return [{ sharing, withoutCache, ratio }];
    });
  });
  return { chain, rejected };
}
