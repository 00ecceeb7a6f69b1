/** Completion of a command line for fish. */
import type { CompletedCommand, CompletedOption } from './completed-command.js';

/** A script for `~/.config/fish/completions`, or to be sourced. */
export function fishCompletion(name: string, commands: readonly CompletedCommand[]): string {
  const descriptions = new Map(commands.map(({ path, description }) => [path.join(' '), description]));
  return commands
    .flatMap(({ path, commands: below, options }) => {
      const complete = `complete -c ${name} -n ${quoted(conditionOf(path, below))}`;
      return [
        ...below.map(
          (command) =>
            `${complete} -f -a ${command} -d ${quoted(descriptions.get([...path, command].join(' ')) ?? '')}`,
        ),
        ...options.map((option) => `${complete} ${flagsOf(option)} -d ${quoted(option.description)}`),
      ];
    })
    .concat('')
    .join('\n');
}

/** Whether the words so far are those of the command, and none of a command below it. */
function conditionOf(path: readonly string[], below: readonly string[]): string {
  const seen = path.map((word) => `__fish_seen_subcommand_from ${word}`);
  const unseen = below.length > 0 ? [`not __fish_seen_subcommand_from ${below.join(' ')}`] : [];
  return [...seen, ...unseen].join('; and ') || 'true';
}

const flagsOf = ({ flags, takesValue, choices }: CompletedOption): string =>
  [
    ...flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`)),
    ...(takesValue ? ['-r'] : []),
    ...(choices.length > 0 ? [`-f -a ${quoted(choices.join(' '))}`] : []),
  ].join(' ');

const quoted = (text: string): string => `'${text.replace(/\\/g, '\\\\').replace(/'/g, "\\'")}'`;
