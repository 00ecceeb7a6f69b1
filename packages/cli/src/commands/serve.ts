/** `contextlora serve`: the tasks of a trained run behind OpenAI's HTTP interface. */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';

import { openRun } from '@contextlora/finetune';
import { createServer } from '@contextlora/serve';

import { CliError } from '../cli-error.js';
import type { CommandContext } from '../command-context.js';
import type { CommandSetup } from '../command-setup.js';
import { helpExamples } from '../help-examples.js';
import { naturalNumber, positiveNumber, positiveWhole } from '../option-values.js';
import { describeFailure } from '../failure.js';
import { loadRunModel } from './run-model.js';

interface ServeOptions {
  readonly host: string;
  readonly port: number;
  readonly keys?: string;
  readonly maxRequests?: number;
  readonly maxSeconds?: number;
  readonly maxBodyMb?: number;
  readonly maxPixels?: number;
  readonly maxTokens?: number;
  readonly batchSize?: number;
  readonly closeSeconds?: number;
  readonly model?: string;
  readonly threads: number;
}

/** The variable that keys are read from, apart from a file. */
const keysVariable = 'CONTEXTLORA_API_KEYS';

export function addServeCommand({ program, context, world, run }: CommandSetup): void {
  program
    .command('serve <run>')
    .description("answer over HTTP as OpenAI's chat completions do, each task of a trained run being a model")
    .option('--host <address>', 'address to listen at; others than loopback need keys', '127.0.0.1')
    .option('--port <n>', 'port; 0 takes a free one', naturalNumber, 8080)
    .option('--keys <file>', `file of keys, one per line (or ${keysVariable}, separated by spaces)`)
    .option('--max-requests <n>', 'requests under way; one more gets 429 (default: 128)', positiveWhole)
    .option('--max-seconds <s>', 'longest time of a request; then it gets 503 (default: 120)', positiveNumber)
    .option('--max-body-mb <mb>', 'largest body of a request (default: 16.8)', positiveNumber)
    .option('--max-pixels <n>', 'largest picture (default: 16000000)', positiveWhole)
    .option('--max-tokens <n>', 'longest answer that may be asked for (default: 1024)', positiveWhole)
    .option('--batch-size <n>', 'prompts of a pass, of whatever task (default: 16)', positiveWhole)
    .option(
      '--close-seconds <s>',
      'how long Ctrl-C waits for answers under way (default: 30)',
      positiveNumber,
    )
    .option('--model <path>', 'where the model is now, if it has moved')
    .option('--threads <n>', 'threads per native operation', naturalNumber, 1)
    .addHelpText(
      'after',
      helpExamples([
        ['contextlora serve run', 'for programs on this machine'],
        ['contextlora serve run --host 0.0.0.0 --keys keys.txt', 'for others, who need one of the keys'],
        [
          `curl localhost:8080/v1/chat/completions -H 'Content-Type: application/json' \\\n    -d '{"model": "road", "messages": [{"role": "user", "content": "limit 50 ."}]}'`,
          'ask task "road"',
        ],
      ]),
    )
    .action((directory: string, options: ServeOptions) =>
      run(() =>
        runServe(directory, options, context, (error) => {
          world.errorOutput.write(`${describeFailure(error).message}\n`);
        }),
      ),
    );
}

async function runServe(
  directory: string,
  options: ServeOptions,
  context: CommandContext,
  onDefect: (error: unknown) => void,
): Promise<'interrupted'> {
  const { output, signal, clock, now } = context;
  const keys = await keysOf(options, context);
  const run = await openRun(directory);
  await using loaded = await loadRunModel(run, options, context);
  await using server = createServer(loaded.base, run, {
    keys,
    clock,
    now,
    onDefect,
    ...limitsOf(options),
  });
  const { url } = await server.listen(options);
  const who = keys.length === 0 ? 'this machine, without a key' : `whoever has ${keyCount(keys.length)}`;
  output.write(
    `Serving ${run.trainedTasks.join(', ')} at ${url}/v1 for ${who}. ` +
      `OpenAPI document at /openapi.json, metrics at /metrics. Ctrl-C ends it.\n`,
  );
  if (!signal.aborted) await once(signal, 'abort');
  if (server.inFlight > 0) output.write(`Finishing ${server.inFlight} requests …\n`);
  const { refused } = await server.close();
  output.write(
    refused === 0
      ? 'Stopped; every request that was let in has its answer.\n'
      : `Stopped; ${refused} requests took longer than Ctrl-C waits (--close-seconds), and were refused.\n`,
  );
  return 'interrupted';
}

const keyCount = (count: number) => (count === 1 ? 'the key' : `one of ${count} keys`);

const limitsOf = ({
  maxRequests,
  maxSeconds,
  maxBodyMb,
  maxPixels,
  maxTokens,
  batchSize,
  closeSeconds,
}: ServeOptions) => ({
  ...(maxRequests === undefined ? {} : { maximumRequests: maxRequests }),
  ...(maxSeconds === undefined ? {} : { maximumSeconds: maxSeconds }),
  ...(maxBodyMb === undefined ? {} : { maximumBodyBytes: Math.ceil(maxBodyMb * 1e6) }),
  ...(maxPixels === undefined ? {} : { maximumPixels: maxPixels }),
  ...(maxTokens === undefined ? {} : { maximumTokens: maxTokens }),
  ...(batchSize === undefined ? {} : { batchSize }),
  ...(closeSeconds === undefined ? {} : { closeSeconds }),
});

/** The keys of the file and of the environment; neither is printed. */
async function keysOf({ keys: path }: ServeOptions, { environment }: CommandContext): Promise<string[]> {
  const text =
    path === undefined
      ? ''
      : await readFile(path, 'utf8').catch((cause: unknown) => {
          throw new CliError(
            'CLI_FILE_INVALID',
            'serve',
            `cannot read the keys in ${path}; is the path right?`,
            { cause },
          );
        });
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const inFile = lines.filter((line) => line !== '' && !line.startsWith('#'));
  if (path !== undefined && inFile.length === 0)
    throw new CliError('CLI_FILE_INVALID', 'serve', `${path} has no key; write one per line`);
  return [...inFile, ...(environment[keysVariable] ?? '').split(/[\s,]+/).filter((key) => key !== '')];
}
