/** Spans as boxes of a drawing; those too narrow to see are merged. */

export interface TimedSpan {
  readonly startSeconds: number;
  readonly endSeconds: number;
}

export interface Box<S> {
  readonly x: number;
  readonly width: number;
  /** The part of the lane's height it takes, counted from the top; all of it unless merged spans are stacked. */
  readonly from: number;
  readonly to: number;
  /** What the box shows. */
  readonly span: S;
  /** Spans that share the box. */
  readonly count: number;
}

/** Names what spans look like; spans that look alike are merged. */
type LookOf<S> = (span: S) => string;

/** Boxes of many lanes, merged only about as far as keeps their number within `limit`. */
export function boxesWithin<S extends TimedSpan>(
  lanes: readonly (readonly S[])[],
  lookOf: LookOf<S>,
  pixelsPerSecond: number,
  limit: number,
): Box<S>[][] {
  const spans = lanes.flat();
  const pixels = spans.reduce((sum, span) => sum + span.endSeconds - span.startSeconds, 0) * pixelsPerSecond;
  // Where all are narrow, stacks of two of this width would just fill the lanes.
  const start = spans.length > limit ? Math.max(0.15, (2 * pixels) / limit) : 0.15;
  for (let least = start; ; least *= 2) {
    const boxes = lanes.map((lane) => boxesOf(lane, lookOf, pixelsPerSecond, least));
    if (least > 16 || boxes.reduce((sum, { length }) => sum + length, 0) <= limit) return boxes;
  }
}

/** A lane's boxes; neighbours narrower than `least` pixels become a stack, in which each look's height is its share of their time. */
function boxesOf<S extends TimedSpan>(
  spans: readonly S[],
  lookOf: LookOf<S>,
  pixelsPerSecond: number,
  least: number,
): Box<S>[] {
  const boxes: Box<S>[] = [];
  let narrow: S[] = [];
  const flush = () => {
    if (narrow.length > 0) boxes.push(...stack(narrow, lookOf, pixelsPerSecond));
    narrow = [];
  };
  for (const span of spans) {
    const x = span.startSeconds * pixelsPerSecond;
    const end = span.endSeconds * pixelsPerSecond;
    if (narrow.length > 0 && end - narrow[0]!.startSeconds * pixelsPerSecond > least) flush();
    if (end - x < least) narrow.push(span);
    else boxes.push({ x, width: end - x, from: 0, to: 1, span, count: 1 });
  }
  flush();
  return boxes;
}

function stack<S extends TimedSpan>(
  spans: readonly S[],
  lookOf: LookOf<S>,
  pixelsPerSecond: number,
): Box<S>[] {
  const { startSeconds } = spans[0]!;
  const seconds = spans.at(-1)!.endSeconds - startSeconds;
  if (seconds <= 0) return [];
  const place = { x: startSeconds * pixelsPerSecond, width: seconds * pixelsPerSecond };
  const totals = new Map<string, { readonly span: S; seconds: number; count: number }>();
  for (const span of spans) {
    const look = lookOf(span);
    const total = totals.get(look) ?? { span, seconds: 0, count: 0 };
    total.seconds += span.endSeconds - span.startSeconds;
    total.count += 1;
    totals.set(look, total);
  }
  // From the bottom up, in an order that all stacks have: `waiting` comes last.
  let to = 1;
  return [...totals]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { span, seconds: spent, count }]): Box<S> => {
      const from = spans.length === 1 ? 0 : Math.max(0, to - spent / seconds);
      const box = { ...place, from, to, span, count };
      to = from;
      return box;
    });
}

/** The spans, by their start, in lanes in which none overlap. */
export function lanesOf<S extends TimedSpan>(spans: readonly S[]): S[][] {
  const lanes: S[][] = [];
  for (const span of spans) {
    const free = lanes.find((lane) => lane.at(-1)!.endSeconds <= span.startSeconds);
    if (free) free.push(span);
    else lanes.push([span]);
  }
  return lanes;
}
