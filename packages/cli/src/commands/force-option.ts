/** The option of commands that write a run. */
import { Option } from 'commander';

export const forceOption = (): Option =>
  new Option('--force', 'start again in place of an earlier run, whose files are removed')
    .default(false)
    .conflicts('resume');
