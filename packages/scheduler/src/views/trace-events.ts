/** Timelines and plans in the Trace Event Format, which Perfetto and chrome://tracing open; arrows lead from every message to the work it enables. */
import type { Plan } from '../planner/planned.js';
import type { Cluster } from '../problem/cluster.js';
import type { Schedule } from '../schedule/schedule.js';
import type { Timeline } from '../simulate/timeline.js';
import type { ChartSpan, TimedSpan } from './chart.js';
import { runChart } from './run-chart.js';
import { type DrawnSpan, stepRowsOf } from './step-rows.js';

interface EventPlace {
  readonly name: string;
  readonly cat: string;
  /** Microseconds. */
  readonly ts: number;
  readonly pid: number;
  readonly tid: number;
}

type Values = Readonly<Record<string, string | number | boolean | undefined>>;

/** Metadata (M) names and orders processes and threads; a span (X); the start (s) and the end (f) of an arrow, with one id. */
export type TraceEvent = EventPlace &
  (
    | { readonly ph: 'M'; readonly args: Values }
    | { readonly ph: 'X'; readonly args: Values; /** Microseconds. */ readonly dur: number }
    // `bp` binds the end to the span it lies in rather than to the next one.
    | { readonly ph: 's' | 'f'; readonly id: number; readonly bp?: 'e' }
  );

type SpanEvent = Extract<TraceEvent, { readonly ph: 'X' }>;

/** A trace file's content. */
export interface TraceFile {
  readonly traceEvents: readonly TraceEvent[];
  readonly displayTimeUnit: 'ms';
}

/** A process of a trace, with its threads; spans of one thread must not overlap. */
interface Process<S extends TimedSpan> {
  readonly name: string;
  readonly threads: readonly (readonly [name: string, spans: readonly S[]])[];
}

interface Written<S> {
  readonly span: S;
  readonly event: SpanEvent;
}

/** The timeline as a trace; `JSON.stringify` makes it a file that Perfetto and chrome://tracing open. */
export function traceEvents(timeline: Timeline, schedule: Schedule): TraceFile {
  return traceOf(
    stepRowsOf(timeline, schedule, 'traceEvents').map((row) => ({
      name: `pipeline ${row.placement}, stage ${row.stage}: ${row.device} (${row.layers}${row.frozen ? ', frozen' : ''})`,
      threads: [
        ['compute', row.work.filter(({ type }) => type !== 'waiting')],
        ['waiting', row.work.filter(({ type }) => type === 'waiting')],
        // A device can send several messages at a time.
        ...(row.transfers.length === 0 ? [[]] : row.transfers).map(
          (lane, at) => [at === 0 ? 'network' : `network ${at + 1}`, lane] as const,
        ),
      ],
    })),
    stepEvent,
    flowEvents,
  );
}

/** The whole run as a trace: a process for each device with its jobs, and one for each medium with what is sent over it. */
export function traceRun(plan: Plan, cluster: Cluster): TraceFile {
  return traceOf(
    runChart(plan, cluster).rows.map(({ name, lanes }) => ({
      name,
      threads: lanes.map(({ spans }, index) => [`lane ${index + 1}`, spans] as const),
    })),
    ({ labels, text, look }: ChartSpan) => ({
      name: labels[0] ?? 'waiting',
      cat: look.split('-')[1]!,
      args: { what: text },
    }),
  );
}

function traceOf<S extends TimedSpan>(
  processes: readonly Process<S>[],
  describe: (span: S, thread: string) => Pick<SpanEvent, 'name' | 'cat' | 'args'>,
  arrows: (written: readonly Written<S>[]) => TraceEvent[] = () => [],
): TraceFile {
  const metadata: TraceEvent[] = [];
  const written: Written<S>[] = [];
  // Perfetto takes a thread with a process's id for that process's main thread, so thread ids start after the process ids.
  let tid = processes.length;
  for (const [index, { name, threads }] of processes.entries()) {
    const pid = index + 1;
    const tell = (key: string, args: Values, thread = tid) =>
      metadata.push({ name: key, cat: '__metadata', ph: 'M', ts: 0, pid, tid: thread, args });
    tell('process_name', { name }, tid + 1);
    tell('process_sort_index', { sort_index: index }, tid + 1);
    for (const [sortIndex, [thread, spans]] of threads.entries()) {
      tid += 1;
      tell('thread_name', { name: thread });
      tell('thread_sort_index', { sort_index: sortIndex });
      for (const span of spans) {
        const ts = microseconds(span.startSeconds);
        const dur = microseconds(span.endSeconds) - ts;
        written.push({ span, event: { ...describe(span, thread), ph: 'X', ts, dur, pid, tid } });
      }
    }
  }
  const events = [...written.map(({ event }) => event), ...arrows(written)];
  // The sort is stable: a span comes before the arrows that start or end with it, as viewers need it.
  return { traceEvents: [...metadata, ...events.sort((a, b) => a.ts - b.ts)], displayTimeUnit: 'ms' };
}

/**
 * Eighths of a microsecond are exact as binary fractions and as whole nanoseconds: neighbours never overlap, neither here nor in a viewer
 * that counts nanoseconds.
 */
const microseconds = (seconds: number): number => Math.round(seconds * 8e6) / 8;

function stepEvent(span: DrawnSpan, thread: string): Pick<SpanEvent, 'name' | 'cat' | 'args'> {
  const { kind, type, task, step, microbatch, bytes, peer, cause } = span;
  const frozen = kind === 'frozenForward' || undefined;
  return {
    name: [verbOf(span), task, microbatch].filter((part) => part !== undefined).join(' '),
    cat: `${thread.split(' ')[0]!},${type}`,
    args: { task, step, microbatch, bytes, peer, cause, frozen },
  };
}

/** `backward input`, `send activation` and the like. */
function verbOf({ type, cause }: DrawnSpan): string {
  if (type === 'collective') return 'exchange';
  if (type === 'waiting')
    return cause === 'finished' || cause === 'lost' ? cause : `waiting: ${cause ?? 'unknown'}`;
  return type.replace(/[A-Z]/, (letter) => ` ${letter.toLowerCase()}`);
}

function flowEvents(spans: readonly Written<DrawnSpan>[]): TraceEvent[] {
  const keyOf = (type: string, device: string, { task, step, microbatch }: DrawnSpan) =>
    JSON.stringify([type, device, task, step, microbatch]);
  const work = new Map(spans.map(({ span, event }) => [keyOf(span.type, span.device, span), event]));
  let id = 0;
  return spans.flatMap(({ span, event }): TraceEvent[] => {
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
