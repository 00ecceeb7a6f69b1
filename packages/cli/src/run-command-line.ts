/** The command line as a function: arguments and a world in, an exit code out. */
import { Command, CommanderError } from 'commander';

import { type CommandContext, Stopped } from './command-context.js';
import type { CommandSetup } from './command-setup.js';
import type { CommandWorld } from './command-world.js';
import { addChatCommand } from './commands/chat.js';
import { addBaselinesCommand } from './commands/baselines.js';
import { addDemoCommand } from './commands/demo.js';
import { addDoctorCommand } from './commands/doctor.js';
import { addGraphCommand } from './commands/graph.js';
import { addPlanCommand } from './commands/plan.js';
import { addProfileCommand } from './commands/profile.js';
import { addTrainCommand } from './commands/train.js';
import { hubDirectoryOf } from './hub-directory.js';
import { stopCodes, type StopSignal } from './stop-signals.js';
import { createProgress } from './terminal/progress.js';
import { isUserError } from './user-error.js';

export const exitCodes = { done: 0, defect: 1, userMistake: 2, interrupted: 130 } as const;

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
  // Whoever read the output has left (`| head`): stop as after Ctrl-C.
  const stopUnread = () => {
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
      '\nRun "contextlora help <command>" for options and examples.\nExit codes: 0 done, 1 a defect of this program, 2 a mistake in the input, 130 stopped by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP.',
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
    addTrainCommand,
    addPlanCommand,
    addProfileCommand,
    addChatCommand,
    addGraphCommand,
    addDoctorCommand,
    addBaselinesCommand,
  ])
    add(setup);
  try {
    await program.parseAsync(args, { from: 'user' });
    return code;
  } catch (error) {
    const failure = reportFailure(error, { context, world });
    return error instanceof Stopped ? stopCodes[stoppedBy] : failure;
  } finally {
    world.output.off('error', stopUnread);
  }
}

function reportFailure(
  error: unknown,
  { context, world }: { readonly context: CommandContext; readonly world: CommandWorld },
): number {
  // commander has already printed its message or the requested help.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.userMistake;
  context.progress.print();
  if (error instanceof Stopped) {
    world.errorOutput.write(
      'Stopped. Finished work is kept; run the same command with --resume to continue.\n',
    );
    return exitCodes.interrupted;
  }
  if (isUserError(error)) {
    world.errorOutput.write(`${error.message}\n`);
    return exitCodes.userMistake;
  }
  world.errorOutput.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return exitCodes.defect;
}
