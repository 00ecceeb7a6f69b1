/** What of a command line can be completed, as plain values. */
import type { Command, Option } from 'commander';

export interface CompletedOption {
  /** `-v` and `--verbose`, whichever there are. */
  readonly flags: readonly string[];
  readonly description: string;
  readonly takesValue: boolean;
  /** The only values that it takes, if it does not take any other. */
  readonly choices: readonly string[];
}

export interface CompletedCommand {
  /** The words that lead to it, after the program. */
  readonly path: readonly string[];
  readonly description: string;
  /** Names of the commands below it. */
  readonly commands: readonly string[];
  readonly options: readonly CompletedOption[];
}

/** The program and all commands below it that its help shows. */
export function completedCommands(command: Command, path: readonly string[] = []): CompletedCommand[] {
  const help = command.createHelp();
  const below = help.visibleCommands(command);
  return [
    {
      path,
      description: command.description(),
      commands: below.map((one) => one.name()),
      options: help.visibleOptions(command).map(optionOf),
    },
    ...below.flatMap((one) => (one.name() === 'help' ? [] : completedCommands(one, [...path, one.name()]))),
  ];
}

const optionOf = ({
  short,
  long,
  description,
  required,
  optional,
  argChoices = [],
}: Option): CompletedOption => ({
  flags: [short, long].filter((flag) => flag !== undefined),
  description,
  takesValue: required || optional,
  choices: argChoices,
});
