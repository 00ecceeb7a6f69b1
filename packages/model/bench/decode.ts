/**
 * Times reading a prompt and writing tokens one by one, here and in other runtimes with the same model, interleaved in one run.
 *
 * Each runtime has its own process, so that peak memory is measured separately; they answer in turn, never at once. A runtime that is not
 * available is left out with a reason. transformers gets the weights that this project reads from a GGUF file, in float32; transformers.js
 * gets the given ONNX export: `optimum-cli export onnx --task text-generation-with-past`, with its model.onnx moved to a folder onnx/ next to
 * config.json.
 * Usage: npm run bench:decode -- --model PATH [--python FILE] [--peers DIRECTORY] [--onnx DIRECTORY] [--prompt N] [--tokens N] [--rounds N]
 *        [--threads N] [--base FORMAT] [--json FILE]
 */
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

import { writeWhole } from '@contextlora/lora/files';

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    python: { type: 'string' },
    peers: { type: 'string' },
    onnx: { type: 'string' },
    prompt: { type: 'string', default: '128' },
    tokens: { type: 'string', default: '64' },
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: '1' },
    base: { type: 'string' },
    json: { type: 'string' },
  },
});
if (values.model === undefined) {
  console.error('Give a model: npm run bench:decode -- --model PATH');
  process.exit(2);
}
const settings = {
  model: resolve(values.model),
  promptTokens: Number(values.prompt),
  newTokens: Number(values.tokens),
  threads: Number(values.threads),
};

interface Answer {
  readonly prefillSeconds: number;
  readonly decodeSeconds: number;
  /** Of all threads, for both: it tells how many were at work, and depends less on what else the machine does. */
  readonly cpuSeconds: number;
  readonly peakBytes: number;
}
interface Side {
  readonly name: string;
  run(): Promise<Answer>;
  end(): void;
}

const here = import.meta.dirname;
const script = (name: string) => [...process.execArgv, join(here, name)];
const isGguf = settings.model.endsWith('.gguf');
const peerModule = (name: string) => {
  if (values.peers === undefined) return undefined;
  try {
    return createRequire(join(resolve(values.peers), 'package.json')).resolve(name);
  } catch (error) {
    // The package has only modules, so its folder is enough.
    return (error as { code?: string }).code === 'ERR_PACKAGE_PATH_NOT_EXPORTED'
      ? join(resolve(values.peers), 'node_modules', name)
      : undefined;
  }
};
const llama = peerModule('node-llama-cpp');
const transformersJs = peerModule('@huggingface/transformers');
const candidates: readonly (readonly [string, () => Promise<Side | string>])[] = [
  [
    'contextlora',
    () =>
      start('contextlora', process.execPath, script('decode-process.ts'), { ...settings, base: values.base }),
  ],
  // The gain from keeping the file's blocks.
  ...(isGguf && values.base === undefined
    ? [
        [
          'the same in f32',
          () =>
            start('the same in f32', process.execPath, script('decode-process.ts'), {
              ...settings,
              base: 'f32',
            }),
        ] as const,
      ]
    : []),
  [
    'node-llama-cpp',
    () =>
      values.peers === undefined || llama === undefined
        ? Promise.resolve('--peers DIRECTORY names a folder where it is installed')
        : isGguf
          ? start('node-llama-cpp', process.execPath, script('decode-llama-cpp.ts'), {
              ...settings,
              module: join(resolve(values.peers), 'node_modules/node-llama-cpp/dist/index.js'),
            })
          : Promise.resolve('it reads GGUF files only'),
  ],
  [
    'transformers',
    () =>
      values.python === undefined
        ? Promise.resolve('--python FILE names an interpreter that has torch and transformers')
        : start('transformers', values.python, [join(here, 'decode_peer.py')], {
            ...settings,
            exporter: [process.execPath, ...script('export-float32.ts')],
          }),
  ],
  [
    'transformers.js',
    () =>
      values.peers === undefined || transformersJs === undefined
        ? Promise.resolve('--peers DIRECTORY names a folder where @huggingface/transformers is installed')
        : values.onnx === undefined
          ? Promise.resolve('--onnx DIRECTORY names an ONNX export of the model')
          : start('transformers.js', process.execPath, script('decode-transformers-js.ts'), {
              ...settings,
              module: transformersJs,
              onnx: resolve(values.onnx),
            }),
  ],
];

const sides: Side[] = [];
for (const [name, open] of candidates) {
  const side = await open();
  if (typeof side === 'string') console.log(`${name} is left out: ${side}`);
  else sides.push(side);
}
const answers = sides.map((): Answer[] => []);
// The first round warms up.
for (let round = 0; round <= Number(values.rounds); round++)
  for (const [i, side] of sides.entries()) {
    const answer = await side.run();
    if (round > 0) answers[i]?.push(answer);
  }
for (const side of sides) side.end();

const median = (numbers: readonly number[]) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? NaN;
const results = sides.map(({ name }, i) => ({
  name,
  // Medians of wall-clock time.
  prefillTokensPerSecond: settings.promptTokens / median((answers[i] ?? []).map((of) => of.prefillSeconds)),
  decodeTokensPerSecond: (settings.newTokens - 1) / median((answers[i] ?? []).map((of) => of.decodeSeconds)),
  cpuSeconds: Math.min(...(answers[i] ?? []).map(({ cpuSeconds }) => cpuSeconds)),
  peakMebibytes: Math.max(...(answers[i] ?? []).map(({ peakBytes }) => peakBytes)) / 2 ** 20,
}));
const [own] = results;
console.log(
  `${settings.promptTokens} tokens read, ${settings.newTokens} written, ${settings.threads} thread(s), median of ${values.rounds} rounds`,
);
for (const of of results) {
  const ratio = (key: 'prefillTokensPerSecond' | 'decodeTokensPerSecond' | 'cpuSeconds' | 'peakMebibytes') =>
    own === undefined || of === own ? '' : ` (ours ${(own[key] / of[key]).toFixed(2)} times)`;
  console.log(
    `${of.name.padEnd(16)} read ${of.prefillTokensPerSecond.toFixed(0)}/s${ratio('prefillTokensPerSecond')}, ` +
      `write ${of.decodeTokensPerSecond.toFixed(1)}/s${ratio('decodeTokensPerSecond')}, ` +
      `least CPU time ${of.cpuSeconds.toFixed(2)} s${ratio('cpuSeconds')}, ` +
      `peak ${of.peakMebibytes.toFixed(0)} MiB${ratio('peakMebibytes')}`,
  );
}
if (values.json)
  await writeWhole(values.json, `${JSON.stringify({ settings, results, answers }, null, 2)}\n`);

/** Starts one runtime and waits until it has loaded the model; returns the reason if it is not available. */
async function start(
  name: string,
  command: string,
  args: readonly string[],
  given: object,
): Promise<Side | string> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const failed = new Promise<string>((resolve) =>
    child.on('error', (error) => {
      resolve(error.message);
    }),
  );
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const nextLine = async () => {
    for (;;) {
      const line = await lines.next();
      if (line.done) return undefined;
      if (line.value.startsWith('{')) return JSON.parse(line.value) as Record<string, unknown>;
    }
  };
  child.stdin.on('error', () => undefined);
  child.stdin.write(`${JSON.stringify(given)}\n`);
  const first = await Promise.race([failed, nextLine()]);
  if (typeof first === 'string') return first;
  if (!first) return 'it ended while it loaded the model';
  if (typeof first['missing'] === 'string') return first['missing'];
  return {
    name,
    async run() {
      child.stdin.write('run\n');
      const answer = await nextLine();
      if (!answer) throw new Error(`${name} ended in the middle`);
      return answer as unknown as Answer;
    },
    end: () => {
      child.stdin.end();
    },
  };
}
