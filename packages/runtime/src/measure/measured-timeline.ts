/** A measured step in the form of a simulated one, so that both can be drawn and compared. */
import type { DeviceUse, IdleCause, LinkUse, Timeline } from '@contextlora/scheduler';

import { groupBy } from '../group-by.js';
import type { MeasuredStep } from '../pipeline/measured-step.js';

const noIdleTime: Readonly<Record<IdleCause, number>> = {
  activation: 0,
  gradient: 0,
  backpressure: 0,
  collective: 0,
  finished: 0,
  lost: 0,
};

/** Times are from the first instruction of any device to the last; `peakMemoryBytes` is not measured and 0. */
export function measuredTimeline({ spans, schedule }: MeasuredStep): Timeline {
  const start = Math.min(...spans.map(({ startSeconds }) => startSeconds));
  const makespanSeconds = Math.max(...spans.map(({ endSeconds }) => endSeconds)) - start;
  const moved = spans.map((span) => ({
    ...span,
    startSeconds: span.startSeconds - start,
    endSeconds: span.endSeconds - start,
  }));
  const byDevice = groupBy(moved, ({ device }) => device);
  const links = groupBy(
    moved.filter(({ peer, bytes }) => peer !== undefined && bytes !== undefined),
    ({ device, peer }) => `${device}\n${peer}`,
  );
  const bytesOf = (some: readonly { readonly bytes?: number }[]) =>
    some.reduce((sum, { bytes = 0 }) => sum + bytes, 0);
  const devices = schedule.programs.map(({ device }): DeviceUse => {
    const own = byDevice.get(device) ?? [];
    const idleSeconds = { ...noIdleTime };
    let busySeconds = 0;
    for (const { type, cause, startSeconds, endSeconds } of own) {
      if (type === 'waiting') idleSeconds[cause ?? 'activation'] += endSeconds - startSeconds;
      else if (type === 'sendActivation' || type === 'sendGradient')
        idleSeconds.backpressure += endSeconds - startSeconds;
      else if (type !== 'collective') busySeconds += endSeconds - startSeconds;
    }
    idleSeconds.finished = makespanSeconds - Math.max(0, ...own.map(({ endSeconds }) => endSeconds));
    return {
      device,
      busySeconds,
      idleSeconds,
      idleFraction: makespanSeconds > 0 ? 1 - busySeconds / makespanSeconds : 0,
      peakMemoryBytes: 0,
      sentBytes: bytesOf(own),
    };
  });
  return {
    makespanSeconds,
    stepEndSeconds: [[makespanSeconds]],
    devices,
    links: [...links.values()].map((some): LinkUse => {
      const [{ device, peer = '' }] = some as [(typeof some)[number]];
      return { from: device, to: peer, bytes: bytesOf(some) };
    }),
    bytes: bytesOf(moved),
    unfinished: 0,
    spans: moved.filter(({ startSeconds, endSeconds }) => endSeconds > startSeconds),
  };
}
