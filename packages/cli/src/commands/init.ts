/** `contextlora init`: a project that trains at once, to be made one's own. */
import { mkdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { embeddedName } from '@contextlora/benchmarks';
import { ifThere, writeWhole } from '@contextlora/lora/files';

import { CliError } from '../cli-error.js';
import type { CommandContext } from '../command-context.js';
import type { CommandSetup } from '../command-setup.js';
import { helpExamples } from '../help-examples.js';
import { sampleProject } from '../project/sample-project.js';
import { ask } from '../terminal/ask.js';

interface InitOptions {
  readonly yes: boolean;
}

export function addInitCommand({ program, context, run }: CommandSetup): void {
  program
    .command('init [directory]')
    .description('write a small project that trains at once: a commented task file, its data, and settings')
    .option('--yes', 'ask nothing', false)
    .addHelpText(
      'after',
      helpExamples([
        ['contextlora init factory', 'write it to ./factory'],
        ['contextlora init --yes', 'write it here'],
      ]),
    )
    .action((directory: string | undefined, options: InitOptions) =>
      run(() => runInit(directory, options, context)),
    );
}

async function runInit(
  given: string | undefined,
  { yes }: InitOptions,
  context: CommandContext,
): Promise<void> {
  const { progress } = context;
  const directory = given ?? (yes ? '.' : await ask('Directory of the project', { preset: '.', context }));
  const files = Object.entries(sampleProject()).map(([path, text]) => ({
    path: join(directory, path),
    text,
  }));
  // Nothing is written before it is known that nothing would be replaced.
  const found: string[] = [];
  for (const { path } of files) if (await ifThere(stat(path))) found.push(path);
  if (found.length > 0)
    throw new CliError(
      'CLI_OPTIONS_INVALID',
      'init',
      `${found.length === 1 ? 'this file is' : 'these files are'} there already, and nothing was written: ${found.join(', ')}; name another directory`,
    );
  for (const { path, text } of files) {
    await mkdir(dirname(path), { recursive: true });
    await writeWhole(path, text);
  }
  progress.print(`  ${files.length} files in ${directory}; tasks.yaml says what they are.`);
  progress.print();
  progress.print('Next:');
  if (directory !== '.') progress.print(`  cd ${directory}`);
  progress.print('  contextlora validate tasks.yaml');
  progress.print(`  contextlora train tasks.yaml --model ${embeddedName} --config train.yaml --out run`);
  progress.print('  contextlora ask run --text "drum loud . farmer garden . order late"');
}
