/**
 * How each kind of span looks. The colours are Okabe and Ito's, which colour-blind people can distinguish; hatches serve black and white.
 */
import type { SpanKind } from './chart-rows.js';

/** Strokes on an 8 by 8 tile. */
export interface Hatch {
  /** SVG path data. */
  readonly path: string;
  readonly colour: string;
  readonly width: number;
}

interface SpanStyle {
  readonly label: string;
  /** In a terminal: the parameter of an ANSI escape sequence. */
  readonly ansi: string;
  readonly colour: string;
  /** Absent for a plain box. */
  readonly hatch?: Hatch;
}

const hatch = (path: string, colour: string, width: number): Hatch => ({ path, colour, width });
const style = (label: string, ansi: string, colour: string, lines?: Hatch): SpanStyle => ({
  label,
  ansi,
  colour,
  ...(lines ? { hatch: lines } : {}),
});
const waiting = (what: string, path: string): SpanStyle =>
  style(`waiting: ${what}`, '90', '#f2f2f2', hatch(path, '#a6a6a6', 0.8));

/** The hatches of one lane differ from each other in direction or shape. */
export const spanStyles: Readonly<Record<SpanKind, SpanStyle>> = {
  frozenForward: style(
    'forward, frozen (no backward follows)',
    '36',
    '#56b4e9',
    hatch('M0 2h8M0 6h8', '#ffffff', 0.9),
  ),
  forward: style('forward', '34', '#0072b2'),
  backwardInput: style(
    'backward, input gradient',
    '33',
    '#e69f00',
    hatch('M-1 1L1 -1M0 8L8 0M7 9L9 7', '#7a4f00', 0.9),
  ),
  backwardWeight: style(
    'backward, weight gradient',
    '31',
    '#d55e00',
    hatch('M-1 7L1 9M0 0L8 8M7 -1L9 1', '#ffffff', 0.9),
  ),
  update: style('update', '1', '#333333', hatch('M0 0L8 8M0 8L8 0', '#ffffff', 0.6)),
  cacheWrite: style('cache write', '32', '#009e73', hatch('M2 0v8M6 0v8', '#ffffff', 1)),
  cacheRead: style('cache read', '32', '#f0e442', hatch('M4 0v8M0 4h8', '#857c00', 0.8)),
  load: style('load', '37', '#bbbbbb', hatch('M2 0v8', '#333333', 0.8)),
  sendActivation: style('sending an activation', '35', '#cc79a7', hatch('M0 4h8', '#ffffff', 0.8)),
  sendGradient: style('sending a gradient', '35', '#7b3f63', hatch('M1 0v8M5 0v8', '#f3d9e7', 1.4)),
  collective: style('exchange in the group', '35', '#000000', hatch('M1 2h2M5 6h2', '#ffffff', 2)),
  'waiting-activation': waiting('its input', 'M1 1h1M5 5h1'),
  'waiting-gradient': waiting('a gradient', 'M0 8L8 0'),
  'waiting-backpressure': waiting('room for the next message', 'M0 0L8 8'),
  'waiting-collective': waiting('its group', 'M0 4h5'),
  'waiting-finished': style('waiting: others, itself done', '90', '#fafafa'),
  'waiting-lost': style('lost', '31', '#f2f2f2', hatch('M4 0v8M0 4h8M0 0L8 8', '#a6a6a6', 0.8)),
};

/** In the order in which a legend lists them. */
export const spanKinds = Object.keys(spanStyles) as readonly SpanKind[];

/** Sibling tasks have tints of one colour; from the fourth task on, only their letters differ. */
export const tintCount = 3;

/** The colour of a kind for the task at `tint`. */
export function tinted(colour: string, tint: number): string {
  const whiteness = [0, 0.3, 0.5][tint]!;
  const channels = [1, 3, 5].map((at) => {
    const value = Number.parseInt(colour.slice(at, at + 2), 16);
    return Math.round(value + (255 - value) * whiteness);
  });
  return `#${channels.map((value) => value.toString(16).padStart(2, '0')).join('')}`;
}
