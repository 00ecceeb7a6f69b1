/** `contextlora completion`: what a shell needs to complete command lines. */
import { Argument } from 'commander';

import type { CommandSetup } from '../command-setup.js';
import { bashCompletion } from '../completion/bash-completion.js';
import { type CompletedCommand, completedCommands } from '../completion/completed-command.js';
import { fishCompletion } from '../completion/fish-completion.js';
import { helpExamples } from '../help-examples.js';

const scripts = {
  bash: bashCompletion,
  zsh: (name: string, commands: readonly CompletedCommand[]) =>
    `autoload -U +X bashcompinit && bashcompinit\n${bashCompletion(name, commands)}`,
  fish: fishCompletion,
} as const;

export function addCompletionCommand({ program, context: { output }, runToEnd }: CommandSetup): void {
  program
    .command('completion')
    .description('print what a shell needs to complete commands, options and their values')
    .addArgument(new Argument('<shell>', 'your shell').choices(Object.keys(scripts)))
    .addHelpText(
      'after',
      helpExamples([
        ['eval "$(contextlora completion bash)"', 'in ~/.bashrc'],
        ['eval "$(contextlora completion zsh)"', 'in ~/.zshrc, after compinit'],
        ['contextlora completion fish > ~/.config/fish/completions/contextlora.fish', 'once, for fish'],
      ]),
    )
    .action((shell: keyof typeof scripts) =>
      runToEnd(() => {
        output.write(scripts[shell](program.name(), completedCommands(program)));
        return Promise.resolve();
      }),
    );
}
