/** Completion of a command line for bash, and through its `bashcompinit` for zsh. */
import type { CompletedCommand } from './completed-command.js';

/** A script to be evaluated by the shell. Where it has nothing to say, the shell completes names of files. */
export function bashCompletion(name: string, commands: readonly CompletedCommand[]): string {
  const below = commands.filter(({ path }) => path.length > 0).map(pathOf);
  const cases = (lines: readonly string[]) => lines.map((line) => `    ${line}`);
  return [
    `_${name}() {`,
    '  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" at="" word offer i',
    '  for ((i = 1; i < COMP_CWORD; i++)); do',
    '    word="${COMP_WORDS[i]}"',
    `    case "$at/$word" in ${below.join('|')}) at="$at/$word" ;; esac`,
    '  done',
    '  COMPREPLY=()',
    '  case "$at $previous" in',
    ...cases(commands.flatMap(valueCases)),
    '  esac',
    '  if [[ "$current" == -* ]]; then',
    '    case "$at" in',
    ...cases(
      commands.map(
        (one) =>
          `  ${pathOf(one) || '""'}) offer="${one.options.flatMap(({ flags }) => flags).join(' ')}" ;;`,
      ),
    ),
    '    esac',
    '  else',
    '    case "$at" in',
    ...cases(
      commands.flatMap((one) =>
        one.commands.length > 0 ? [`  ${pathOf(one) || '""'}) offer="${one.commands.join(' ')}" ;;`] : [],
      ),
    ),
    '      *) return ;;',
    '    esac',
    '  fi',
    '  COMPREPLY=($(compgen -W "$offer" -- "$current"))',
    '}',
    `complete -o default -F _${name} ${name}`,
    '',
  ].join('\n');
}

const pathOf = ({ path }: CompletedCommand): string => path.map((word) => `/${word}`).join('');

/** After an option that takes a value come its choices, or else the shell's own suggestions. */
function valueCases(command: CompletedCommand): string[] {
  const at = pathOf(command);
  const patterns = (flags: readonly string[]) => flags.map((flag) => `"${at} ${flag}"`).join('|');
  const valued = command.options.filter(({ takesValue }) => takesValue);
  const others = valued.filter(({ choices }) => choices.length === 0).flatMap(({ flags }) => flags);
  return [
    ...valued.flatMap(({ flags, choices }) =>
      choices.length > 0
        ? [`${patterns(flags)}) COMPREPLY=($(compgen -W "${choices.join(' ')}" -- "$current")); return ;;`]
        : [],
    ),
    ...(others.length > 0 ? [`${patterns(others)}) return ;;`] : []),
  ];
}
