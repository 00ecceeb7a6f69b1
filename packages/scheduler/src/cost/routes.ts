/** Which link serves two devices, and at what rate. */
import type { Cluster } from '../problem/cluster.js';

/** A resolved link. `medium` is the index of a shared medium, -1 for none. */
export interface Route {
  /** After losses, and half of it where an access point passes every message on. */
  readonly bytesPerSecond: number;
  readonly latencySeconds: number;
  readonly medium: number;
  /** Index of the link that serves it, in the cluster's list. */
  readonly link: number;
}

/** Seconds a message keeps its link, or its share of a medium's air, busy; latency comes on top. */
export const airSeconds = ({ bytesPerSecond }: Route, bytes: number): number => bytes / bytesPerSecond;

/** Answers which link, if any, leads from one device to another (by index). */
export interface Routes {
  readonly media: readonly string[];
  route(from: number, to: number): Route | undefined;
}

export function resolveRoutes({ devices, links }: Cluster): Routes {
  const indexOf = new Map(devices.map(({ id }, index) => [id, index]));
  const media: string[] = [];
  const count = devices.length + 1; // the last index stands for '*'
  const table = new Map<number, Route>();
  const reversed = new Map<number, Route>();
  for (const [index, link] of links.entries()) {
    const from = link.from === '*' ? devices.length : indexOf.get(link.from);
    const to = link.to === '*' ? devices.length : indexOf.get(link.to);
    if (from === undefined || to === undefined) continue;
    if (link.medium !== undefined && !media.includes(link.medium)) media.push(link.medium);
    const crossings = link.relayed ? 2 : 1;
    const route: Route = {
      bytesPerSecond: (link.bytesPerSecond * (1 - (link.loss ?? 0))) / crossings,
      latencySeconds: link.latencySeconds * crossings,
      medium: link.medium === undefined ? -1 : media.indexOf(link.medium),
      link: index,
    };
    if (!table.has(from * count + to)) table.set(from * count + to, route);
    if (!reversed.has(to * count + from)) reversed.set(to * count + from, route);
  }
  const any = devices.length;
  const between = (from: number, to: number): Route | undefined =>
    table.get(from * count + to) ?? reversed.get(from * count + to);
  const known: (Route | null)[][] = [];
  return {
    media,
    route(from, to) {
      const row = (known[from] ??= []);
      const found = (row[to] ??=
        from === to
          ? null
          : (between(from, to) ?? between(from, any) ?? between(any, to) ?? between(any, any) ?? null));
      return found ?? undefined;
    },
  };
}
