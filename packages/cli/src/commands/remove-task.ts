/** `contextlora remove-task`: a trained run without some of its tasks, as if it had never had them. */
import type { TaskFile } from '@contextlora/task-graph';
import { slotsOf } from '@contextlora/task-graph';

import { CliError } from '../cli-error.js';
import type { CommandSetup } from '../command-setup.js';
import { helpExamples } from '../help-examples.js';
import { addChangeOptions, type ChangeOptions } from './change-options.js';
import { changeCommand } from './change-run.js';

export function addRemoveTaskCommand({ program, context, run }: CommandSetup): void {
  const command = program
    .command('remove-task <run> <tasks...>')
    .description('remove tasks from a finished run; those that build on them train again without them')
    .option('--tasks <tasks.yaml>', "task file without them (default: the run's, with fewer dependencies)");
  addChangeOptions(command)
    .addHelpText(
      'after',
      helpExamples([
        ['contextlora remove-task run fog --dry-run', 'what would be trained again, and how long it takes'],
        ['contextlora remove-task run fog', 'remove it'],
      ]),
    )
    .action((directory: string, removed: readonly string[], options: ChangeOptions & { tasks?: string }) =>
      run(() =>
        changeCommand(
          {
            command: 'remove-task',
            directory,
            options,
            known: removed,
            fileOf: (file) => withoutTasks(file, removed),
            problemsOf: (plan) => [
              ...plan.added.map((task) => `task "${task}" is new; "contextlora add-task" adds one`),
              ...plan.removed
                .filter((task) => !removed.includes(task))
                .map((task) => `the task file lacks task "${task}" too; name it, or add it`),
              ...removed
                .filter((task) => !plan.removed.includes(task))
                .map((task) => `the task file still has task "${task}"`),
            ],
          },
          context,
        ),
      ),
    );
}

/** The file without some tasks, on which no other depends any more. */
function withoutTasks(file: TaskFile, removed: readonly string[]): TaskFile {
  const tasks = file.tasks.filter(({ id }) => !removed.includes(id));
  const asking = tasks.flatMap(({ id, instruction }) =>
    slotsOf(instruction)
      .filter((slot) => removed.includes(slot))
      .map((slot) => `the instruction of "${id}" asks for the answer of "${slot}"`),
  );
  if (asking.length > 0)
    throw new CliError(
      'CLI_OPTIONS_INVALID',
      'remove-task',
      `${asking.join('; ')}: give a task file that does not with --tasks, and data without it`,
    );
  if (tasks.length === 0)
    throw new CliError('CLI_OPTIONS_INVALID', 'remove-task', 'no task would be left; remove the run instead');
  return {
    ...file,
    tasks: tasks.map((task) => ({
      ...task,
      dependsOn: task.dependsOn.filter((id) => !removed.includes(id)),
    })),
  };
}
