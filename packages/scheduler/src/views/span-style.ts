/**
 * How each kind of span looks. The colours are Okabe and Ito's, which colour-blind people can distinguish; hatches serve black and white.
 */
import type { SpanKind } from './chart-rows.js';

interface SpanStyle {
  readonly label: string;
  readonly colour: string;
  /** Strokes on an 8 by 8 tile; empty for a plain box. */
  readonly hatch: string;
  readonly hatchColour: string;
  readonly hatchWidth: number;
}

const waiting = (what: string, hatch: string): SpanStyle => ({
  label: `waiting: ${what}`,
  colour: '#f2f2f2',
  hatch,
  hatchColour: '#a6a6a6',
  hatchWidth: 0.8,
});

/** The hatches of one lane differ from each other in direction or shape. */
export const spanStyles: Readonly<Record<SpanKind, SpanStyle>> = {
  frozenForward: {
    label: 'forward, frozen (no backward follows)',
    colour: '#56b4e9',
    hatch: 'M0 2h8M0 6h8',
    hatchColour: '#ffffff',
    hatchWidth: 0.9,
  },
  forward: { label: 'forward', colour: '#0072b2', hatch: '', hatchColour: '#ffffff', hatchWidth: 0 },
  backwardInput: {
    label: 'backward, input gradient',
    colour: '#e69f00',
    hatch: 'M-1 1L1 -1M0 8L8 0M7 9L9 7',
    hatchColour: '#7a4f00',
    hatchWidth: 0.9,
  },
  backwardWeight: {
    label: 'backward, weight gradient',
    colour: '#d55e00',
    hatch: 'M-1 7L1 9M0 0L8 8M7 -1L9 1',
    hatchColour: '#ffffff',
    hatchWidth: 0.9,
  },
  update: {
    label: 'update',
    colour: '#333333',
    hatch: 'M0 0L8 8M0 8L8 0',
    hatchColour: '#ffffff',
    hatchWidth: 0.6,
  },
  cacheWrite: {
    label: 'cache write',
    colour: '#009e73',
    hatch: 'M2 0v8M6 0v8',
    hatchColour: '#ffffff',
    hatchWidth: 1,
  },
  cacheRead: {
    label: 'cache read',
    colour: '#f0e442',
    hatch: 'M4 0v8M0 4h8',
    hatchColour: '#857c00',
    hatchWidth: 0.8,
  },
  load: {
    label: 'load',
    colour: '#bbbbbb',
    hatch: 'M2 0v8',
    hatchColour: '#333333',
    hatchWidth: 0.8,
  },
  sendActivation: {
    label: 'sending an activation',
    colour: '#cc79a7',
    hatch: 'M0 4h8',
    hatchColour: '#ffffff',
    hatchWidth: 0.8,
  },
  sendGradient: {
    label: 'sending a gradient',
    colour: '#7b3f63',
    hatch: 'M1 0v8M5 0v8',
    hatchColour: '#f3d9e7',
    hatchWidth: 1.4,
  },
  collective: {
    label: 'exchange in the group',
    colour: '#000000',
    hatch: 'M1 2h2M5 6h2',
    hatchColour: '#ffffff',
    hatchWidth: 2,
  },
  'waiting-activation': waiting('its input', 'M1 1h1M5 5h1'),
  'waiting-gradient': waiting('a gradient', 'M0 8L8 0'),
  'waiting-backpressure': waiting('room for the next message', 'M0 0L8 8'),
  'waiting-collective': waiting('its group', 'M0 4h5'),
  'waiting-finished': { ...waiting('others, itself done', ''), colour: '#fafafa' },
  'waiting-lost': { ...waiting('nothing, it is lost', 'M4 0v8M0 4h8M0 0L8 8'), label: 'lost' },
};

/** In the order in which a legend lists them. */
export const spanKinds = Object.keys(spanStyles) as readonly SpanKind[];

/** Sibling tasks have tints of one colour; from the fourth task on, only their letters differ. */
export const tintCount = 3;

/** The colour of a kind for the task at `tint`. */
export function tinted(colour: string, tint: number): string {
  const whiteness = [0, 0.3, 0.5][tint]!;
  const channels = channelsOf(colour).map((value) => Math.round(value + (255 - value) * whiteness));
  return `#${channels.map((value) => value.toString(16).padStart(2, '0')).join('')}`;
}

/** Black or white, whichever reads better on the colour. */
export function inkOn(colour: string): string {
  const [red, green, blue] = channelsOf(colour).map((value) => {
    const share = value / 255;
    return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  // Relative luminance and the point of equal contrast, as in WCAG 2.
  return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue! > 0.179 ? '#000000' : '#ffffff';
}

const channelsOf = (colour: string): number[] =>
  [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16));
