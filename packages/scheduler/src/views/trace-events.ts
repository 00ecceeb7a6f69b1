/**
 * A timeline in the Trace Event Format, which Perfetto and chrome://tracing open: a process for each device, with rows for computing,
 * waiting and transfers, and arrows from every message to the work it enables.
 */
import type { Schedule } from '../schedule/schedule.js';
import type { Timeline } from '../simulate/timeline.js';
import { chartOf, type ChartRow, type DrawnSpan } from './chart-rows.js';
import { formatLayers } from '../format.js';

interface EventBase {
  readonly name: string;
  readonly cat: string;
  /** Microseconds. */
  readonly ts: number;
  readonly pid: number;
  readonly tid: number;
}

/** Names and orders the processes and threads. */
export interface MetadataEvent extends EventBase {
  readonly ph: 'M';
  readonly args: Readonly<Record<string, string | number>>;
}

/** A span. */
export interface CompleteEvent extends EventBase {
  readonly ph: 'X';
  /** Microseconds. */
  readonly dur: number;
  readonly args: Readonly<Record<string, string | number | boolean>>;
}

/** The start or the end of an arrow; both ends have one id. */
export interface FlowEvent extends EventBase {
  readonly ph: 's' | 'f';
  readonly id: number;
  /** Binds the end to the span it lies in rather than to the next one. */
  readonly bp?: 'e';
}

export type TraceEvent = MetadataEvent | CompleteEvent | FlowEvent;

/** A trace file's content. */
export interface TraceFile {
  readonly traceEvents: readonly TraceEvent[];
  readonly displayTimeUnit: 'ms';
}

/** The timeline as a trace; `JSON.stringify` makes it a file that Perfetto and chrome://tracing open. */
export function traceEvents(timeline: Timeline, schedule: Schedule): TraceFile {
  const { rows } = chartOf(timeline, schedule, 'traceEvents');
  const metadata: MetadataEvent[] = [];
  const spans: { readonly span: DrawnSpan; readonly event: CompleteEvent }[] = [];
  // Perfetto takes a thread with a process's id for that process's main thread, so thread ids start after the process ids.
  let tid = rows.length;
  for (const [index, row] of rows.entries()) {
    const pid = index + 1;
    const name = (key: string, thread: number, args: MetadataEvent['args']) =>
      metadata.push({ name: key, cat: '__metadata', ph: 'M', ts: 0, pid, tid: thread, args });
    name('process_name', tid + 1, { name: processName(row) });
    name('process_sort_index', tid + 1, { sort_index: index });
    const threads: [string, readonly DrawnSpan[]][] = [
      ['compute', row.work.filter(({ type }) => type !== 'waiting')],
      ['waiting', row.work.filter(({ type }) => type === 'waiting')],
      // Spans of one thread must not overlap, and a device can send several messages at a time.
      ...(row.transfers.length === 0 ? [[]] : row.transfers).map(
        (lane, at): [string, readonly DrawnSpan[]] => [at === 0 ? 'network' : `network ${at + 1}`, lane],
      ),
    ];
    for (const [sortIndex, [thread, list]] of threads.entries()) {
      tid += 1;
      name('thread_name', tid, { name: thread });
      name('thread_sort_index', tid, { sort_index: sortIndex });
      for (const span of list) spans.push({ span, event: completeEvent(span, pid, tid, thread) });
    }
  }
  const events = [...spans.map(({ event }) => event), ...flowEvents(spans)];
  // The sort is stable: a span comes before the arrows that start or end with it, as viewers need it.
  return { traceEvents: [...metadata, ...events.sort((a, b) => a.ts - b.ts)], displayTimeUnit: 'ms' };
}

/**
 * Eighths of a microsecond are exact as binary fractions and as whole nanoseconds: neighbours never overlap, neither here nor in a viewer
 * that counts nanoseconds.
 */
const microseconds = (seconds: number): number => Math.round(seconds * 8e6) / 8;

const processName = ({ device, placement, stage, start, end, frozen }: ChartRow): string =>
  `pipeline ${placement}, stage ${stage}: ${device} (${formatLayers(start, end)}${frozen ? ', frozen' : ''})`;

function completeEvent(span: DrawnSpan, pid: number, tid: number, thread: string): CompleteEvent {
  const { kind, type, startSeconds, endSeconds, task, step, microbatch, bytes, peer, cause } = span;
  const ts = microseconds(startSeconds);
  return {
    name: [verbOf(span), task, microbatch].filter((part) => part !== undefined).join(' '),
    cat: `${thread.split(' ')[0]!},${type}`,
    ph: 'X',
    ts,
    dur: microseconds(endSeconds) - ts,
    pid,
    tid,
    args: {
      ...known({ task, step, microbatch, bytes, peer, cause }),
      ...(kind === 'frozenForward' ? { frozen: true } : {}),
    },
  };
}

/** The fields that have a value. */
const known = (
  fields: Readonly<Record<string, string | number | undefined>>,
): Record<string, string | number> =>
  Object.fromEntries(
    Object.entries(fields).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
  );

/** `backward input`, `send activation` and the like. */
function verbOf({ type, cause }: DrawnSpan): string {
  if (type === 'collective') return 'exchange';
  if (type === 'waiting')
    return cause === 'finished' || cause === 'lost' ? cause : `waiting: ${cause ?? 'unknown'}`;
  return type.replace(/[A-Z]/, (letter) => ` ${letter.toLowerCase()}`);
}

function flowEvents(
  spans: readonly { readonly span: DrawnSpan; readonly event: CompleteEvent }[],
): FlowEvent[] {
  const keyOf = (type: string, device: string, { task, step, microbatch }: DrawnSpan) =>
    JSON.stringify([type, device, task, step, microbatch]);
  const work = new Map(spans.map(({ span, event }) => [keyOf(span.type, span.device, span), event]));
  let id = 0;
  return spans.flatMap(({ span, event }): FlowEvent[] => {
    if (span.peer === undefined) return [];
    const consumers = span.type === 'sendActivation' ? ['forward'] : ['backwardInput', 'backwardWeight'];
    // A stage whose input gradient costs nothing has no span of it.
    const consumer = consumers.map((type) => work.get(keyOf(type, span.peer!, span))).find(Boolean);
    if (!consumer) return [];
    id += 1;
    const name = span.type === 'sendActivation' ? 'activation' : 'gradient';
    const base = { name, cat: 'message', id };
    return [
      { ...base, ph: 's', ts: event.ts, pid: event.pid, tid: event.tid },
      { ...base, ph: 'f', ts: consumer.ts, pid: consumer.pid, tid: consumer.tid, bp: 'e' },
    ];
  });
}
