/** The options of the commands that change a run. */
import type { GivenSettings, LongRows } from '@contextlora/finetune';
import { type Command, Option } from 'commander';

import { naturalNumber, positiveWhole } from '../option-values.js';

export interface ChangeOptions extends GivenSettings {
  /** The new task file; without it the run's own. */
  readonly tasks?: string;
  readonly data?: string;
  readonly model?: string;
  readonly threads: number;
  readonly longRows: LongRows;
  readonly dryRun: boolean;
  readonly yes: boolean;
  readonly resume: boolean;
  readonly force: boolean;
}

/** Adds them to a command, except for `--tasks`, which some need. */
export const addChangeOptions = (command: Command): Command =>
  command
    .option('--data <directory>', "directory of the data files (default: the run's)")
    .option('--model <path>', 'where the model lies (default: where it was)')
    .option('--threads <n>', 'threads per native operation', naturalNumber, 1)
    .addOption(
      new Option('--long-rows <choice>', 'rows that are too long, as the run was trained')
        .choices(['refuse', 'skip', 'truncate'])
        .default('refuse'),
    )
    .option('--dry-run', 'say what would be trained and how long it takes, and change nothing', false)
    .option('--yes', 'do not ask before it begins', false)
    .option('--resume', 'go on with a change that was stopped', false)
    .addOption(
      new Option('--force', 'begin in place of a change that was stopped').default(false).conflicts('resume'),
    );

/** `--steps`, of the tasks that a command is about. */
export const addStepsOption = (command: Command, whose: string): Command =>
  command.option('--steps <n>', `optimizer steps of ${whose}`, positiveWhole);
