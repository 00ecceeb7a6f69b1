/** What must move between devices: base layers, segments and their optimizer state, cached activations. */
import { gradientBytes, type LayerRange, type TaskCosts } from '../cost/task-costs.js';
import { stateBytes } from '../cost/memory.js';
import type { Routes } from '../cost/routes.js';
import { ownValue } from '../problem/names.js';
import type { Placement } from '../schedule/placement.js';
import type { IntervalProblem } from '../search/interval-problem.js';

/** Devices by index. */
export interface Transfer {
  /** Base layers, segments (with their optimizer state while they train), or cached activations. */
  readonly what: 'base' | 'segment' | 'cache';
  /** Whose. */
  readonly tasks: readonly string[];
  readonly bytes: number;
  readonly from: number;
  readonly to: number;
}

/** Transfers by what, whose, from and to. */
export interface TransferList {
  /** From whichever source delivers soonest. */
  add(
    what: Transfer['what'],
    tasks: readonly string[],
    bytes: number,
    sources: readonly number[],
    to: number,
  ): void;
  /** Whether some device can deliver everything. */
  possible(): boolean;
  all(): Transfer[];
}

export function createTransferList(routes: Routes): TransferList {
  const transfers: { -readonly [K in keyof Transfer]: Transfer[K] }[] = [];
  let possible = true;
  return {
    add(what, tasks, bytes, sources, to) {
      if (bytes <= 0 || sources.includes(to)) return;
      let from = -1;
      let soonest = Infinity;
      for (const source of sources) {
        const route = routes.route(source, to);
        if (!route) continue;
        const seconds = bytes / route.bytesPerSecond + route.latencySeconds;
        if (seconds < soonest) [from, soonest] = [source, seconds];
      }
      if (from < 0) {
        possible = false;
        return;
      }
      const known = transfers.find(
        (one) => one.to === to && one.from === from && one.what === what && one.tasks[0] === tasks[0],
      );
      if (known) known.bytes += bytes;
      else transfers.push({ what, tasks, from, to, bytes });
    },
    possible: () => possible,
    all: () => transfers,
  };
}

interface Holding extends LayerRange {
  readonly device: number;
  readonly share: number;
}

/**
 * What a job moves when its next interval has another placement: segments in training with their optimizer state, cached activations, and
 * base layers that a device does not hold; undefined where no link leads there.
 */
export function transfersBetween(
  before: IntervalProblem,
  placed: Placement,
  after: IntervalProblem,
  next: Placement,
  { routes, deviceIndex, holdsBase, keeper }: BaseHolders,
): Transfer[] | undefined {
  const held = holdingsOf(placed, deviceIndex);
  const wanted = holdingsOf(next, deviceIndex);
  const needing = after.tasks.map(after.costs.taskNamed);
  const lasting = needing.filter(({ name }) => before.tasks.includes(name));
  const list = createTransferList(routes);
  for (const { device, start, end } of wanted) {
    const kept = held.find((holding) => holding.device === device);
    for (let layer = start; layer < end; layer++) {
      if (kept && layer >= kept.start && layer < kept.end) continue;
      const sources = held
        .filter((holding) => layer >= holding.start && layer < holding.end)
        .map((holding) => holding.device);
      const range = { start: layer, end: layer + 1 };
      if (!holdsBase(device))
        list.add(
          'base',
          [],
          stateBytes(needing, range).parameterBytes,
          keeper === undefined ? sources : [...sources, keeper],
          device,
        );
      for (const task of lasting)
        list.add('segment', [task.name], trainedStateBytes(task, range), sources, device);
    }
  }
  for (const [name, mode] of Object.entries(after.cache)) {
    if (mode !== 'read' || !ownValue(before.cache, name)) continue;
    const { lowestTrained } = after.costs.taskNamed(name);
    const holds = ({ start, end }: Holding) => lowestTrained >= start && lowestTrained < end;
    const owners = held.filter(holds);
    for (const reader of wanted.filter(holds)) {
      const had = owners.find(({ device }) => device === reader.device)?.share ?? 0;
      const missing = Math.max(0, reader.share - had);
      const others = owners.map(({ device }) => device).filter((device) => device !== reader.device);
      list.add('cache', [name], missing * ownValue(after.cacheBytes, name)!, others, reader.device);
    }
  }
  return list.possible() ? list.all() : undefined;
}

/** Who holds the base before the start, and the routes of the whole cluster. */
export interface BaseHolders {
  readonly routes: Routes;
  readonly deviceIndex: (id: string) => number;
  readonly holdsBase: (device: number) => boolean;
  readonly keeper: number | undefined;
}

/** A segment in training: its weights, as many bytes as their gradients, and its optimizer state. */
const trainedStateBytes = (task: TaskCosts, range: LayerRange): number =>
  gradientBytes(task, range) + stateBytes([task], range).optimizerBytes;

const holdingsOf = ({ stages }: Placement, deviceIndex: (id: string) => number): Holding[] =>
  stages.flatMap(({ start, end, members }) =>
    members.map(({ device, share }) => ({ device: deviceIndex(device), start, end, share })),
  );

/** Seconds until all have arrived, when nothing else uses the network: one after the other on a medium or a link, at once on others. */
export function transferSeconds(routes: Routes, transfers: readonly Transfer[]): number {
  const air = new Map<string, number>();
  for (const { from, to, bytes } of transfers) {
    const { medium, bytesPerSecond, latencySeconds } = routes.route(from, to)!;
    const key = medium >= 0 ? `${medium}` : `${from} ${to}`;
    air.set(key, (air.get(key) ?? 0) + bytes / bytesPerSecond + latencySeconds);
  }
  return Math.max(0, ...air.values());
}
