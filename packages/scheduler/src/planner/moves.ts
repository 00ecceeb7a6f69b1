/** What it costs to change from one interval's placement to the next: layers, optimizer states and cached activations that must move. */
import { stateBytes } from '../cost/memory.js';
import { ownValue } from '../problem/names.js';
import type { Placement } from '../schedule/placement.js';
import type { IntervalProblem } from '../search/interval-problem.js';

export interface Move {
  readonly bytes: number;
  readonly seconds: number;
}

interface Holding {
  readonly device: number;
  readonly start: number;
  readonly end: number;
  readonly share: number;
}

/**
 * The move between two intervals' placements. A device gets what it did not hold before from a device that did: one after the other over a
 * shared medium, at once over separate links.
 */
export function moveBetween(
  before: IntervalProblem,
  placed: readonly Placement[],
  after: IntervalProblem,
  next: readonly Placement[],
): Move {
  const held = holdingsOf(before, placed);
  const wanted = holdingsOf(after, next);
  const { costs } = after;
  const airSeconds = new Float64Array(costs.routes.media.length);
  const ownSeconds = new Map<number, number>();
  let bytes = 0;
  const move = (to: number, amount: number, sources: readonly number[]) => {
    if (amount <= 0) return;
    let best: { seconds: number; medium: number } | undefined;
    for (const from of sources) {
      const route = costs.routes.route(from, to);
      if (!route) continue;
      const seconds = amount / route.bytesPerSecond + route.latencySeconds;
      if (!best || seconds < best.seconds) best = { seconds, medium: route.medium };
    }
    bytes += amount;
    if (!best) ownSeconds.set(to, Infinity);
    else if (best.medium >= 0) airSeconds[best.medium]! += best.seconds;
    else ownSeconds.set(to, (ownSeconds.get(to) ?? 0) + best.seconds);
  };
  const needing = after.tasks.map(costs.taskNamed);
  const lasting = needing.filter(({ name }) => before.tasks.includes(name));
  for (const { device, start, end } of wanted) {
    const kept = held.find((holding) => holding.device === device);
    for (let layer = start; layer < end; layer++) {
      if (kept && layer >= kept.start && layer < kept.end) continue;
      const sources = held
        .filter((holding) => layer >= holding.start && layer < holding.end)
        .map((holding) => holding.device);
      const range = { start: layer, end: layer + 1 };
      const { parameterBytes } = stateBytes(needing, range);
      move(device, parameterBytes + stateBytes(lasting, range).optimizerBytes, sources);
    }
  }
  for (const [name, mode] of Object.entries(after.cache)) {
    if (mode !== 'read' || !ownValue(before.cache, name)) continue;
    const { lowestTrained } = costs.taskNamed(name);
    const holds = ({ start, end }: Holding) => lowestTrained >= start && lowestTrained < end;
    const owners = held.filter(holds);
    for (const reader of wanted.filter(holds)) {
      const had = owners.find(({ device }) => device === reader.device)?.share ?? 0;
      const missing = Math.max(0, reader.share - had);
      move(
        reader.device,
        missing * ownValue(after.cacheBytes, name)!,
        owners.map(({ device }) => device).filter((device) => device !== reader.device),
      );
    }
  }
  return { bytes, seconds: Math.max(0, ...airSeconds, ...ownSeconds.values()) };
}

function holdingsOf({ costs }: IntervalProblem, placements: readonly Placement[]): Holding[] {
  return placements.flatMap(({ stages }) =>
    stages.flatMap(({ start, end, members }) =>
      members.map(({ device, share }) => ({ device: costs.deviceIndex(device), start, end, share })),
    ),
  );
}
