/** `contextlora add-task`: a trained run learns another task, and forgets none. */
import { changeCommand } from './change-run.js';
import { addChangeOptions, type ChangeOptions } from './change-options.js';
import type { CommandSetup } from '../command-setup.js';
import { helpExamples } from '../help-examples.js';

export function addAddTaskCommand({ program, context, run }: CommandSetup): void {
  const command = program
    .command('add-task <run>')
    .description('train the new tasks of a task file in a finished run; no byte of the other tasks moves')
    .requiredOption('--tasks <tasks.yaml>', 'task file with the tasks of the run and new ones');
  addChangeOptions(command, { whose: 'the new tasks', withRanks: true })
    .addHelpText(
      'after',
      helpExamples([
        [
          'contextlora add-task run --tasks tasks.yaml --dry-run',
          'what would be trained, and how long it takes',
        ],
        ['contextlora add-task run --tasks tasks.yaml --rank 8 --steps 200', 'add it'],
        ['contextlora add-task run --tasks tasks.yaml --resume', 'continue after Ctrl-C'],
      ]),
    )
    .action((directory: string, options: ChangeOptions) =>
      run(() =>
        changeCommand(
          {
            command: 'add-task',
            directory,
            options,
            namedOf: (file, { graph }) => file.tasks.flatMap(({ id }) => (graph.hasNode(id) ? [] : [id])),
            problemsOf: ({ added, removed }) => [
              ...(added.length > 0
                ? []
                : [
                    'the task file has no new task; "contextlora relabel" and "contextlora retrain" train those again that it has',
                  ]),
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
