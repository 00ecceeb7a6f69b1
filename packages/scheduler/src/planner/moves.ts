/** What it costs to change from one segment's placement to the next: layers, optimizer states and cached activations that must move. */
import { ownValue } from '../problem/own-value.js';
import type { Placement } from '../schedule/placement.js';
import type { SegmentProblem } from '../search/interval-problem.js';

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
 * Between two segments' placements. A device gets what it did not hold in the segment before from a device that did, over the shared
 * medium one after the other, over links of their own at once.
 */
export function moveBetween(
  before: SegmentProblem,
  placed: readonly Placement[],
  after: SegmentProblem,
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
  const lasting = after.tasks.filter((name) => before.tasks.includes(name));
  for (const { device, start, end } of wanted) {
    const own = held.find((one) => one.device === device);
    for (let layer = start; layer < end; layer++) {
      if (own && layer >= own.start && layer < own.end) continue;
      const sources = held.filter((one) => layer >= one.start && layer < one.end).map((one) => one.device);
      let amount = Math.max(...after.tasks.map((name) => layerBytes(after, name, layer).parameters));
      for (const name of lasting) amount += layerBytes(after, name, layer).optimizer;
      move(device, amount, sources);
    }
  }
  for (const [name, mode] of Object.entries(after.cache)) {
    if (mode !== 'read' || !ownValue(before.cache, name)) continue;
    const { lowestTrained } = costs.tasks[costs.taskIndex(name)]!;
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

function holdingsOf({ costs }: SegmentProblem, placements: readonly Placement[]): Holding[] {
  return placements.flatMap(({ stages }) =>
    stages.flatMap(({ start, end, members }) =>
      members.map(({ device, share }) => ({ device: costs.deviceIndex(device), start, end, share })),
    ),
  );
}

function layerBytes({ costs }: SegmentProblem, name: string, layer: number) {
  const { parameterBytes, optimizerBytes } = costs.tasks[costs.taskIndex(name)]!.sums;
  return {
    parameters: parameterBytes[layer + 1]! - parameterBytes[layer]!,
    optimizer: optimizerBytes[layer + 1]! - optimizerBytes[layer]!,
  };
}
