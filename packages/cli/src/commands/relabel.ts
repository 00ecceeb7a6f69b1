/** `contextlora relabel`: tasks of a trained run get other labels, or another definition or other data. */
import { changeCommand } from './change-run.js';
import { addChangeOptions, type ChangeOptions } from './change-options.js';
import type { CommandSetup } from '../command-setup.js';
import { helpExamples } from '../help-examples.js';

export function addRelabelCommand({ program, context, run }: CommandSetup): void {
  const command = program
    .command('relabel <run>')
    .description(
      'train the tasks again whose labels, definition or data a task file changes, with all that builds on them',
    )
    .requiredOption('--tasks <tasks.yaml>', 'task file with the same tasks');
  addChangeOptions(command)
    .addHelpText(
      'after',
      helpExamples([
        [
          'contextlora relabel run --tasks tasks.yaml --dry-run',
          'what would be trained, and how long it takes',
        ],
        ['contextlora relabel run --tasks tasks.yaml --data data/', 'train it on rows with the new labels'],
      ]),
    )
    .action((directory: string, options: ChangeOptions) =>
      run(() =>
        changeCommand(
          {
            command: 'relabel',
            directory,
            options,
            problemsOf: ({ added, removed }) => [
              ...added.map((task) => `task "${task}" is new; "contextlora add-task" adds one`),
              ...removed.map(
                (task) => `the task file lacks task "${task}"; "contextlora remove-task" removes one`,
              ),
            ],
          },
          context,
        ),
      ),
    );
}
