/**
 * Puts intervals one after the other: for each the placement such that all intervals and all moves between them cost least (Viterbi over
 * the placements found). An interval also considers its neighbours' placements, so keeping the cut is always among the choices.
 */
import { assessPlacement } from '../search/assess-placement.js';
import { keyOf } from '../search/bounded-search.js';
import { effortFor, limits } from '../search/effort.js';
import { firstCutOf } from '../search/search-interval.js';
import { type Objective, valueOf } from '../search/interval-problem.js';
import { type Move, moveBetween } from './moves.js';
import type { IntervalNode, NamedAssessment, WaveOption } from './search-wave.js';

export interface ChosenInterval {
  readonly node: IntervalNode;
  readonly assessment: NamedAssessment;
  readonly move: Move;
  /** Choices that lost, best first. */
  readonly rejected: readonly NamedAssessment[];
}

export interface Chain {
  /** Of all intervals and moves. */
  readonly value: number;
  readonly waves: readonly {
    readonly option: WaveOption;
    readonly lanes: readonly (readonly ChosenInterval[])[];
  }[];
}

const still: Move = { bytes: 0, seconds: 0 };

/** One link of the chain: an interval with its choices, or a wave of lanes with one. */
interface Link {
  readonly nodes: readonly [IntervalNode, ...IntervalNode[]];
  /** Of a wave of lanes; an interval's value is its choice's. */
  readonly value?: number;
  readonly choices: readonly Choice[];
}

/** A placement for each node of a link. */
type Choice = readonly [NamedAssessment, ...NamedAssessment[]];

/** What other intervals' placements are worth to an interval, once found. */
export type KnownAssessments = WeakMap<IntervalNode, Map<string, NamedAssessment | undefined>>;

export function chainIntervals(
  options: readonly WaveOption[],
  objective: Objective,
  { recut, known = new WeakMap() }: { recut: boolean; known?: KnownAssessments },
): Chain {
  const links = options.flatMap(({ lanes, value }): Link[] => {
    const [only = [], ...others] = lanes;
    if (others.length === 0)
      return only.map((node) => ({ nodes: [node], choices: node.found.map((choice): Choice => [choice]) }));
    const nodes = mapNonEmpty(lanes, ([node]) => node!);
    return [{ value, nodes, choices: [mapNonEmpty(nodes, ({ found: [best] }) => best!)] }];
  });
  const widened = links.map((link, index) => widen(link, links, index, { recut, known }));
  const path = recut ? cheapestPath(widened, objective) : samePath(widened);
  const value = path.reduce(
    (sum, choice, index) =>
      sum +
      costOf(widened[index]!, choice, objective) +
      (index === 0 ? 0 : valueOfMove(moveOf(widened, index, path[index - 1]!, choice), objective)),
    0,
  );
  let next = 0;
  const waves = options.map((option) => {
    const [only = [], ...others] = option.lanes;
    if (others.length === 0) return { option, lanes: [only.map(() => chosen(widened, path, next++, 0))] };
    const index = next++;
    const lanes = option.lanes.map((lane, laneIndex) =>
      lane.map((node, position): ChosenInterval =>
        position === 0
          ? chosen(widened, path, index, laneIndex)
          : { node, assessment: node.found[0]!, move: still, rejected: [] },
      ),
    );
    return { option, lanes };
  });
  return { value, waves };
}

/** `map` of a list that is not empty. */
function mapNonEmpty<T, U>(list: readonly T[], map: (item: T) => U): [U, ...U[]] {
  const [first, ...rest] = list;
  return [map(first!), ...rest.map(map)];
}

/** Adds the best placements of other intervals, assessed for this one. */
function widen(
  link: Link,
  links: readonly Link[],
  index: number,
  { recut, known: remembered }: { recut: boolean; known: KnownAssessments },
): Link {
  const [node] = link.nodes;
  if (link.nodes.length > 1 || !effortFor(node.problem.costs.devices.length).sharesPlacements) return link;
  const known = new Set(link.choices.map(([{ placement }]) => keyOf(placement)));
  const added: Choice[] = [];
  const firstCut = firstCutOf(node.problem);
  for (const [otherIndex, other] of links.entries()) {
    if (otherIndex === index || other.nodes.length > 1) continue;
    // A neighbour's placements save a move; another's may be the one that all can share.
    const near = Math.abs(otherIndex - index) === 1;
    if (!near && links.length > limits.chain) continue;
    for (const [found] of other.choices.slice(0, near || !recut ? limits.sharedPlacements : 1)) {
      const key = keyOf(found.placement);
      const cut = found.placement.stages[1]?.start ?? firstCut;
      if (known.has(key) || cut < firstCut) continue;
      known.add(key);
      const assessment = assessOnce(remembered, node, found);
      if (assessment) added.push([assessment]);
    }
  }
  const choices = [...link.choices, ...added].sort(([a], [b]) => a.value - b.value);
  return { ...link, choices };
}

/** Another interval's placement, assessed for this one. */
function assessOnce(
  remembered: KnownAssessments,
  node: IntervalNode,
  { placement, passes, strategy }: NamedAssessment,
): NamedAssessment | undefined {
  let known = remembered.get(node);
  if (!known) remembered.set(node, (known = new Map<string, NamedAssessment | undefined>()));
  const shares = placement.stages.map(({ members }) => members.map(({ share }) => share).join()).join('|');
  const key = `${strategy}\n${keyOf(placement)}\n${shares}`;
  if (!known.has(key)) {
    const found = assessPlacement(node.problem, { ...placement, tasks: node.problem.tasks }, passes);
    known.set(key, found && { ...found, strategy });
  }
  return known.get(key);
}

const moveOf = (links: readonly Link[], index: number, from: number, to: number): Move =>
  moveBetween(
    links[index - 1]!.nodes[0].problem,
    links[index - 1]!.choices[from]!.map(({ placement }) => placement),
    links[index]!.nodes[0].problem,
    links[index]!.choices[to]!.map(({ placement }) => placement),
  );

/** A move for which there is no link costs what nothing can outweigh. */
const valueOfMove = ({ seconds }: Move, objective: Objective): number =>
  seconds === Infinity ? Infinity : valueOf(objective, seconds, 0);

const costOf = ({ value, choices }: Link, choice: number, objective: Objective): number => {
  const [{ totalSeconds, totalJoules = 0 }] = choices[choice]!;
  return value ?? valueOf(objective, totalSeconds, totalJoules);
};

function cheapestPath(links: readonly Link[], objective: Objective): number[] {
  const totals: number[][] = [];
  const from: number[][] = [];
  for (const [index, { choices }] of links.entries()) {
    totals.push([]);
    from.push([]);
    for (const to of choices.keys()) {
      let best = index === 0 ? 0 : Infinity;
      let via = 0;
      for (const before of index === 0 ? [] : links[index - 1]!.choices.keys()) {
        const move = moveOf(links, index, before, to);
        const total = totals[index - 1]![before]! + valueOfMove(move, objective);
        if (total < best) [best, via] = [total, before];
      }
      totals[index]!.push(best + costOf(links[index]!, to, objective));
      from[index]!.push(via);
    }
  }
  const path: number[] = [];
  let choice =
    totals.at(-1)?.reduce((best, total, index, all) => (total < all[best]! ? index : best), 0) ?? 0;
  for (let index = links.length - 1; index >= 0; index--) {
    path.unshift(choice);
    choice = from[index]![choice]!;
  }
  return path;
}

/** The one placement that every interval can use and that costs least over all; the best of each where there is none. */
function samePath(links: readonly Link[]): number[] {
  const totals = new Map<string, { value: number; count: number }>();
  for (const { choices } of links) {
    const seen = new Set<string>();
    for (const [{ placement, value }] of choices) {
      const key = keyOf(placement);
      // The same groups and cuts may be there with other shares; the best comes first.
      if (seen.has(key)) continue;
      seen.add(key);
      const entry = totals.get(key) ?? { value: 0, count: 0 };
      totals.set(key, { value: entry.value + value, count: entry.count + 1 });
    }
  }
  const shared = [...totals]
    .filter(([, { count }]) => count === links.length)
    .sort(([, a], [, b]) => a.value - b.value)[0]?.[0];
  return links.map(({ choices }) =>
    shared === undefined ? 0 : choices.findIndex(([{ placement }]) => keyOf(placement) === shared),
  );
}

function chosen(
  links: readonly Link[],
  path: readonly number[],
  index: number,
  lane: number,
): ChosenInterval {
  const { nodes, choices } = links[index]!;
  const assessment = choices[path[index]!]![lane]!;
  return {
    node: nodes[lane]!,
    assessment,
    move: index === 0 || lane > 0 ? still : moveOf(links, index, path[index - 1]!, path[index]!),
    rejected: nodes.length > 1 ? [] : choices.flatMap(([other]) => (other === assessment ? [] : [other])),
  };
}
