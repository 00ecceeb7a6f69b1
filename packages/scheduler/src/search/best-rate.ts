/** The best that any link offers. */
import type { Cluster } from '../problem/cluster.js';

/** Of any link, in bytes per second. */
export const bestRate = ({ links }: Cluster): number =>
  links.reduce((most, { bytesPerSecond, loss = 0 }) => Math.max(most, bytesPerSecond * (1 - loss)), 0);
