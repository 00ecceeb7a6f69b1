/** The settings of a run on the command line: one flag per key of a configuration file, and the file. */
import {
  mergeConfigs,
  readTrainConfig,
  type SettingFlag,
  settingFlags,
  type TrainConfig,
} from '@contextlora/finetune';
import { type Command, InvalidArgumentError, Option } from 'commander';

/** A flag that was not given is absent. */
export interface SettingOptions extends TrainConfig {
  readonly config?: string;
}

/** Adds `--config` and a flag for every setting; a flag's value is written as in the file. */
export function addSettingOptions(command: Command): void {
  command.option(
    '--config <file>',
    'settings from a YAML file, with the names below in camelCase; a flag counts more',
  );
  for (const flag of settingFlags()) if (flag.key !== 'packing') command.addOption(settingOption(flag));
}

/** The flag of a setting, whose value is written as in a configuration file. */
export function settingOption({ key, description, isSwitch, read }: SettingFlag): Option {
  const option = new Option(`${flagOf(key)} ${isSwitch ? '[value]' : '<value>'}`, description);
  if (isSwitch) option.preset('true');
  return option.argParser((source: string) => {
    const checked = read(source);
    if ('problem' in checked) throw new InvalidArgumentError(checked.problem);
    return checked.value;
  });
}

/** `batchSize` → `--batch-size`. */
const flagOf = (key: string): string =>
  `--${key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** The configuration that a command was given, the file's settings below those of the flags. */
export async function configOfOptions(options: SettingOptions): Promise<TrainConfig> {
  const given: TrainConfig = Object.fromEntries(
    settingFlags().flatMap(({ key }) => (options[key] === undefined ? [] : [[key, options[key]]])),
  );
  const file = options.config === undefined ? {} : await readTrainConfig(options.config);
  return mergeConfigs(file, given);
}
