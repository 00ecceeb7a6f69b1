/** `contextlora retrain`: tasks of a trained run train again, on the data as they are now. */
import { changeCommand } from './change-run.js';
import { addChangeOptions, type ChangeOptions } from './change-options.js';
import type { CommandSetup } from '../command-setup.js';
import { helpExamples } from '../help-examples.js';

export function addRetrainCommand({ program, context, run }: CommandSetup): void {
  const command = program
    .command('retrain <run> <tasks...>')
    .description(
      'train tasks of a finished run again, on their data as they are now, with all that builds on them',
    );
  addChangeOptions(command, { whose: 'the named tasks' })
    .addHelpText(
      'after',
      helpExamples([
        ['contextlora retrain run road --dry-run', 'what else would be trained, and how long it takes'],
        ['contextlora retrain run road --steps 400', 'after its data were corrected, and for longer'],
      ]),
    )
    .action((directory: string, tasks: readonly string[], options: ChangeOptions) =>
      run(() =>
        changeCommand(
          {
            command: 'retrain',
            directory,
            options,
            asked: tasks,
            namedOf: () => tasks,
            problemsOf: ({ retrained }) =>
              retrained
                .filter(
                  ({ task, reasons }) =>
                    !tasks.includes(task) && reasons.some((one) => !one.startsWith('it builds on')),
                )
                .map(
                  ({ task, reasons }) =>
                    `task "${task}" changed too (${reasons.join('; ')}): name it, or undo that`,
                ),
          },
          context,
        ),
      ),
    );
}
