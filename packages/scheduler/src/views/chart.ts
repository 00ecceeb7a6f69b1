/** A chart as plain values: rows with spans of time, and what they mean; drawn as SVG and for the terminal. */

/** Strokes on an 8 by 8 tile. */
export interface Hatch {
  /** SVG path data. */
  readonly path: string;
  readonly colour: string;
  readonly width: number;
}

/** How spans look; several colours make stripes. Equal names mean equal looks, so that several drawings can share a page. */
export interface Look {
  readonly colours: readonly string[];
  readonly hatch?: Hatch | undefined;
}

export interface TimedSpan {
  readonly startSeconds: number;
  readonly endSeconds: number;
}

export interface ChartSpan extends TimedSpan {
  /** A key of the chart's `looks`. */
  readonly look: string;
  /** The first that fits is shown in a drawing. */
  readonly labels: readonly string[];
  /** For the terminal: its character, several that take turns, or none. */
  readonly mark: string;
  /** Everything else there is to say. */
  readonly text: string;
}

export interface ChartRow {
  readonly name: string;
  /** Before the name on the terminal, and below it in a drawing. */
  readonly short: string;
  readonly note: string;
  /** A drawing has room for the first. */
  readonly values: readonly string[];
  /** Colour of the bar on the left. */
  readonly bar: string;
  readonly band: boolean;
  /** The first is shown where the terminal has room for one. */
  readonly lanes: readonly { readonly spans: readonly ChartSpan[]; readonly share: number }[];
  /** Times at which a drawing has dashed lines. */
  readonly dashes: readonly number[];
}

export interface Chart {
  readonly title: string;
  readonly summary: readonly string[];
  readonly endSeconds: number;
  /** Above the columns: `short`, `name` and `values`. */
  readonly heads: { readonly short: string; readonly values: readonly string[] };
  readonly rows: readonly ChartRow[];
  readonly looks: Readonly<Record<string, Look>>;
  /** Lines of a drawing's legend; a letter stands on its swatch. */
  readonly legend: readonly (readonly { look: string; letter?: string; label: string }[])[];
  /** The terminal's legend. */
  readonly marks: readonly string[];
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
