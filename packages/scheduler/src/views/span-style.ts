/**
 * How each kind of span looks. The colours are Okabe and Ito's, which colour-blind people can distinguish; hatches serve black and white.
 */
import type { Hatch } from './chart.js';
import type { SpanKind } from './step-rows.js';

interface SpanStyle {
  readonly label: string;
  readonly colour: string;
  /** Absent for a plain box. */
  readonly hatch: Hatch | undefined;
  /** For the terminal: a character, or a range of those for micro-batches or tasks, and what it means; empty for none. */
  readonly mark: string;
}

export const style = (
  label: string,
  mark: string,
  colour: string,
  path = '',
  stroke = '#ffffff',
  width = 1,
): SpanStyle => ({ label, mark, colour, hatch: path === '' ? undefined : { path, colour: stroke, width } });
const waiting = (what: string, path: string): SpanStyle =>
  style(`waiting: ${what}`, '', '#f2f2f2', path, '#a6a6a6', 0.8);

const [forward, sending] = ['0–9 forward', '~ only sending'];
const [rising, falling] = ['M-1 1L1 -1M0 8L8 0M7 9L9 7', 'M-1 7L1 9M0 0L8 8M7 -1L9 1'];

/** The hatches of one lane differ from each other in direction or shape. */
export const spanStyles: Readonly<Record<SpanKind, SpanStyle>> = {
  frozenForward: style('forward, frozen (no backward follows)', forward, '#56b4e9', 'M0 2h8M0 6h8'),
  forward: style('forward', forward, '#0072b2'),
  backwardInput: style('backward, input gradient', 'a–j backward', '#e69f00', rising, '#7a4f00'),
  backwardWeight: style('backward, weight gradient', 'A–J weight gradient', '#d55e00', falling),
  update: style('update', '# update', '#333333', 'M0 0L8 8M0 8L8 0', '#ffffff', 0.6),
  cacheWrite: style('cache write', '> cache write', '#009e73', 'M2 0v8M6 0v8'),
  cacheRead: style('cache read', '< cache read', '#f0e442', 'M4 0v8M0 4h8', '#857c00', 0.8),
  load: style('load', '+ load', '#bbbbbb', 'M2 0v8', '#333333', 0.8),
  sendActivation: style('sending an activation', sending, '#cc79a7', 'M0 4h8', '#ffffff', 0.8),
  sendGradient: style('sending a gradient', sending, '#7b3f63', 'M1 0v8M5 0v8', '#f3d9e7', 1.4),
  collective: style('exchange in the group', sending, '#000000', 'M1 2h2M5 6h2', '#ffffff', 2),
  'waiting-activation': waiting('its input', 'M1 1h1M5 5h1'),
  'waiting-gradient': waiting('a gradient', 'M0 8L8 0'),
  'waiting-backpressure': waiting('room for the next message', 'M0 0L8 8'),
  'waiting-collective': waiting('its group', 'M0 4h5'),
  'waiting-finished': style('waiting: others, itself done', '', '#fafafa'),
  'waiting-lost': style('lost', '', '#f2f2f2', 'M4 0v8M0 4h8M0 0L8 8', '#a6a6a6', 0.8),
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
