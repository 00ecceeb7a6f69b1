/** The options of `contextlora profile`. */
import type { BaseFormat } from '@contextlora/model';

import { CliError } from '../cli-error.js';

export interface ProfileOptions {
  /** Number of samples; 0 means until stopped. */
  readonly count: number;
  readonly interval: number;
  readonly json: boolean;
  /** Source of the samples. */
  readonly source: 'files' | 'tegrastats';
  /** Print this board's published figures instead. */
  readonly board?: string;
  /** Print a cluster of these published boards instead, separated by commas. */
  readonly cluster?: string;
  readonly mbit: number;
  readonly switched: boolean;
  /** Measure this machine with layers of this model instead. */
  readonly measure?: string;
  /** Format of the frozen weights; that of the file if absent. */
  readonly base?: BaseFormat;
  readonly tokens: number;
  /** Samples per pass. */
  readonly batch: number;
  readonly rank: number;
  readonly budget: number;
  readonly threads: number;
  /** Seconds to run without a pause. */
  readonly sustained?: number;
  /** Answer link measurements instead, on `[HOST:]PORT`; true for the default port. */
  readonly listen?: string | true;
  /** Measure the links to these machines, which listen at `HOST[:PORT]`. */
  readonly link?: readonly string[];
  /** Name of the medium that links share. */
  readonly medium: string;
  /** Name of this machine in clusters. */
  readonly id: string;
  /** Cluster file to put the measurements into. */
  readonly out?: string;
  /** Root of the machine's file system. */
  readonly root: string;
}

/** @throws CliError for options that contradict each other, or lack one that they need. */
export function checkProfileOptions({
  base,
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
  if (asked.length > 1)
    throw invalid(`${asked.join(' and ')} ask for different things; give only one of them`);
  if (sustained !== undefined && measure === undefined)
    throw invalid('--sustained runs layers of a model; name it with --measure MODEL');
  if (base !== undefined && measure === undefined)
    throw invalid('--base is the format of a model that is measured; name it with --measure MODEL');
  if (out !== undefined && measured === undefined)
    throw invalid('--out writes measurements; ask for something with --measure MODEL or --link HOST');
}

const invalid = (what: string) => new CliError('CLI_OPTIONS_INVALID', 'profile', what);
