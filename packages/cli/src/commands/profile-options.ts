/** The options of `contextlora profile`. */
import { CliError } from '../cli-error.js';

export interface ProfileOptions {
  /** 0 goes on until stopped. */
  readonly count: number;
  readonly interval: number;
  readonly json: boolean;
  /** Where samples come from. */
  readonly source: 'files' | 'tegrastats';
  /** Prints this board's published figures instead. */
  readonly board?: string;
  /** Prints a cluster of these published boards instead, separated by commas. */
  readonly cluster?: string;
  readonly mbit: number;
  readonly switched: boolean;
  /** Measures the rates of a layer of this model on this machine instead. */
  readonly measure?: string;
  readonly tokens: number;
  /** Samples of a pass. */
  readonly batch: number;
  readonly rank: number;
  readonly budget: number;
  readonly threads: number;
  /** Seconds of a run without a pause. */
  readonly sustained?: number;
  /** Serves link measurements instead, on `[HOST:]PORT`; true for the usual port. */
  readonly listen?: string | true;
  /** Measures the links to these listening ends, `HOST[:PORT]`. */
  readonly link?: readonly string[];
  /** What a medium that links share is called. */
  readonly medium: string;
  /** What this machine is called in clusters. */
  readonly id: string;
  /** Cluster file that what was measured goes into. */
  readonly out?: string;
  /** Where the machine's files are. */
  readonly root: string;
}

/** @throws if options are given that ask for different things, or that go with one that is not given. */
export function checkProfileOptions({
  board,
  cluster,
  listen,
  measure,
  link,
  sustained,
  out,
}: ProfileOptions): void {
  const measured = measure === undefined ? link && '--link' : '--measure';
  const asked = [
    board !== undefined && '--board',
    cluster !== undefined && '--cluster',
    listen !== undefined && '--listen',
    measured,
  ].filter((name) => typeof name === 'string');
  if (asked.length > 1) throw invalid(`${asked.join(' and ')} ask for different things; give one of them`);
  if (sustained !== undefined && measure === undefined)
    throw invalid('--sustained runs a layer of a model; name it with --measure MODEL');
  if (out !== undefined && measured === undefined)
    throw invalid('--out writes what was measured; ask for something with --measure MODEL or --link HOST');
}

const invalid = (what: string) => new CliError('CLI_OPTIONS_INVALID', 'profile', what);
