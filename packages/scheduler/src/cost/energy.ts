/** The one definition of energy: power while computing, and less of it while waiting. */
import type { DeviceProfile } from '../problem/cluster.js';

/** Joules of a device over so many seconds; undefined when its power is not known. */
export function joulesOf(
  { watts, idleWatts = 0 }: Pick<DeviceProfile, 'watts' | 'idleWatts'>,
  busySeconds: number,
  totalSeconds: number,
): number | undefined {
  if (watts === undefined) return undefined;
  return watts * busySeconds + idleWatts * (totalSeconds - busySeconds);
}
