/** The command line as a function: arguments and a world in, an exit code out. */
import { Command, CommanderError } from 'commander';

import { type CommandContext, Stopped } from './command-context.js';
import type { CommandSetup } from './command-setup.js';
import type { CommandWorld } from './command-world.js';
import { addAskCommand } from './commands/ask.js';
import { addDashboardCommand } from './commands/dashboard.js';
import { addEvalCommand } from './commands/eval.js';
import { addExportCommand } from './commands/export.js';
import { addInspectCommand } from './commands/inspect.js';
import { addAddTaskCommand } from './commands/add-task.js';
import { addChatCommand } from './commands/chat.js';
import { addBaselinesCommand } from './commands/baselines.js';
import { addClusterCommand } from './commands/cluster.js';
import { addCompletionCommand } from './commands/completion.js';
import { addDemoCommand } from './commands/demo.js';
import { addDoctorCommand } from './commands/doctor.js';
import { addGraphCommand } from './commands/graph.js';
import { addInitCommand } from './commands/init.js';
import { addPlanCommand } from './commands/plan.js';
import { addProfileCommand } from './commands/profile.js';
import { addRelabelCommand } from './commands/relabel.js';
import { addRemoveTaskCommand } from './commands/remove-task.js';
import { addRetrainCommand } from './commands/retrain.js';
import { addServeCommand } from './commands/serve.js';
import { addTrainCommand } from './commands/train.js';
import { addWorkerCommand } from './commands/worker.js';
import { addValidateCommand } from './commands/validate.js';
import { describeFailure, exitCodes } from './failure.js';
import { hubDirectoryOf } from './hub-directory.js';
import { stopCodes, type StopSignal } from './stop-signals.js';
import { createProgress } from './terminal/progress.js';

/** Runs one command line; `args` are the arguments after program and script. Returns the exit code and never throws. */
export async function runCommandLine(args: readonly string[], world: CommandWorld): Promise<number> {
  const stop = new AbortController();
  let takenOver: (() => void) | undefined;
  let stoppedBy: StopSignal = 'SIGINT';
  const onStop = (signal: StopSignal) => {
    if (takenOver && signal === 'SIGINT') takenOver();
    else if (stop.signal.aborted) world.exitAtOnce(stopCodes[signal]);
    else {
      stoppedBy = signal;
      stop.abort();
    }
  };
  let outputError: NodeJS.ErrnoException | undefined;
  const stopUnread = (error: NodeJS.ErrnoException) => {
    // EPIPE: whoever read the output has left (`| head`), which is no failure.
    if (error.code !== 'EPIPE') outputError ??= error;
    stop.abort();
  };
  world.output.on('error', stopUnread);
  const context: CommandContext = {
    ...world,
    progress: createProgress(world.output, { clock: world.clock }),
    signal: stop.signal,
    hubDirectory: hubDirectoryOf(world.environment),
    onInterrupt(handler) {
      takenOver = handler;
      return () => {
        takenOver = undefined;
      };
    },
  };
  let code: number = exitCodes.done;
  const program = new Command('contextlora')
    .description('One language model for many interdependent multimodal tasks')
    .version(world.version)
    .addHelpText(
      'after',
      '\nRun "contextlora help <command>" for options and examples.\nExit codes: 0 done, 1 a defect of this program, 2 a mistake in the input or a fault of the machine (such as a full disk), 130 stopped by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP.',
    )
    .showHelpAfterError()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => world.output.write(text),
      writeErr: (text) => world.errorOutput.write(text),
    });
  const setup: CommandSetup = {
    program,
    context,
    world,
    async run(work) {
      const forget = world.listenForStops(onStop);
      try {
        if ((await work()) === 'interrupted') code = stopCodes[stoppedBy];
      } finally {
        forget();
      }
    },
    async runToEnd(work) {
      await work();
    },
  };
  for (const add of [
    addDemoCommand,
    addInitCommand,
    addValidateCommand,
    addTrainCommand,
    addAskCommand,
    addEvalCommand,
    addServeCommand,
    addExportCommand,
    addInspectCommand,
    addDashboardCommand,
    addAddTaskCommand,
    addRetrainCommand,
    addRelabelCommand,
    addRemoveTaskCommand,
    addPlanCommand,
    addProfileCommand,
    addChatCommand,
    addGraphCommand,
    addDoctorCommand,
    addBaselinesCommand,
    addClusterCommand,
    addWorkerCommand,
    addCompletionCommand,
  ])
    add(setup);
  try {
    await program.parseAsync(args, { from: 'user' });
    await written(world.output);
    if (outputError) throw outputError;
    return code;
  } catch (error) {
    const failure = reportFailure(outputError ?? error, {
      context,
      world,
      isOutputError: outputError !== undefined,
    });
    return outputError === undefined && error instanceof Stopped ? stopCodes[stoppedBy] : failure;
  } finally {
    world.output.off('error', stopUnread);
  }
}

/** Resolves when everything printed so far is written, or its errors are emitted. */
const written = (output: NodeJS.WritableStream) =>
  new Promise<void>((resolve) => {
    output.write('', () => setImmediate(resolve));
  });

function reportFailure(
  error: unknown,
  {
    context,
    world,
    isOutputError,
  }: { readonly context: CommandContext; readonly world: CommandWorld; readonly isOutputError: boolean },
): number {
  // commander has already printed its message or the requested help.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.userMistake;
  if (!isOutputError) context.progress.print();
  const { message, exitCode } = describeFailure(error);
  world.errorOutput.write(`${message}\n`);
  return exitCode;
}
