/** The options of the commands that change a run. */
import {
  type ChangedSettings,
  changedSettingKeys,
  type RowLimits,
  type SettingFlag,
  settingFlags,
} from '@contextlora/finetune';
import { type Command, InvalidArgumentError, Option } from 'commander';

import { naturalNumber } from '../option-values.js';
import { settingOption } from './setting-options.js';

export interface ChangeOptions extends ChangedSettings, RowLimits {
  /** The new task file; without it the run's own. */
  readonly tasks?: string;
  readonly data?: string;
  readonly model?: string;
  readonly threads: number;
  readonly saveEverySteps?: number;
  readonly dryRun: boolean;
  readonly yes: boolean;
  readonly resume: boolean;
  readonly force: boolean;
}

/** What a command may set for the tasks that it is about. */
export interface ChangeSettingOptions {
  /** Those tasks, in words; absent where all that trains trains with the settings of the run. */
  readonly whose?: string;
  /** Whether they get ranks: those of old tasks stay. */
  readonly withRanks?: boolean;
}

/** Adds them to a command, except for `--tasks`, which some need. */
export function addChangeOptions(
  command: Command,
  { whose, withRanks = false }: ChangeSettingOptions = {},
): Command {
  command
    .option('--data <directory>', "directory of the data files (default: the run's)")
    .option('--model <path>', 'where the model lies (default: where it was)')
    .option('--threads <n>', 'threads per native operation', naturalNumber, 1)
    .option('--dry-run', 'say what would be trained and how long it takes, and change nothing', false)
    .option('--yes', 'do not ask before it begins', false)
    .option('--resume', 'go on with a change that was stopped', false)
    .addOption(
      new Option('--force', 'begin in place of a change that was stopped').default(false).conflicts('resume'),
    );
  const given = new Set<string>(
    whose === undefined ? [] : withRanks ? changedSettingKeys : changedSettingKeys.filter(isKept),
  );
  for (const flag of settingFlags()) {
    const { key, description } = flag;
    if (key === 'threads' || key === 'packing') continue;
    const what = key === 'rank' ? 'ranks per linear layer of each' : description.replace(/ \([^()]*\)$/, '');
    if (given.has(key))
      command.addOption(
        settingOption({
          ...flag,
          description: `of ${whose}: ${what} (${defaultOf[key] ?? 'as in the run'})`,
        }),
      );
    else if (key === 'saveEverySteps') command.addOption(settingOption(flag));
    else if (limitKeys.has(key))
      command.addOption(settingOption({ ...flag, description: `${what} (as in the run)` }));
    else command.addOption(refused(flag));
  }
  return command;
}

/** An option that is known only to say why it is none here. */
function refused(flag: SettingFlag): Option {
  const reason = rankKeys.has(flag.key)
    ? 'old tasks keep their ranks in a change; train a new run for others'
    : (changedSettingKeys as readonly string[]).includes(flag.key)
      ? 'this command trains with the settings of the run; "contextlora retrain" takes others'
      : 'the tasks that stay were trained with that of the run; train a new run for another';
  return settingOption(flag)
    .hideHelp()
    .argParser(() => {
      throw new InvalidArgumentError(reason);
    });
}

/** The settings among the options. */
export const changedSettingsOf = (options: ChangeOptions): ChangedSettings =>
  Object.fromEntries(
    changedSettingKeys.flatMap((key) => (options[key] === undefined ? [] : [[key, options[key]]])),
  );

const limitKeys: ReadonlySet<string> = new Set<keyof RowLimits>([
  'longRows',
  'maximumTokens',
  'truncationSide',
]);

const defaultOf: Readonly<Record<string, string>> = {
  rank: "the largest of the run's",
  steps: "as in the run, or the largest of its tasks'",
};

const rankKeys: ReadonlySet<string> = new Set(['rank', 'alpha', 'targets', 'layers']);
const isKept = (key: string) => !rankKeys.has(key);
