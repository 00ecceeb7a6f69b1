/** `contextlora train`: the method on the user's task file, data and model. */
import { dirname, join, resolve } from 'node:path';

import {
  describeInputs,
  checkTrainConfig,
  openRunDirectory,
  prepareRun,
  type PreparedRun,
  readTaskData,
  rowLimitsOf,
  type RunReport,
  settingsOf,
  taskResults,
  trainRun,
  writeRun,
} from '@contextlora/finetune';
import { openKernels } from '@contextlora/kernels';
import { loadModel, type ModelDigests, withChatPrompts } from '@contextlora/model';
import { toText } from '@contextlora/task-graph';
import { fileCheckpoints } from '@contextlora/trainer/files';

import { CliError } from '../cli-error.js';
import type { CommandContext } from '../command-context.js';
import type { CommandSetup } from '../command-setup.js';
import { writeDrawings } from '../drawings/write-drawings.js';
import { listFiles } from '../terminal/list-files.js';
import { helpExamples } from '../help-examples.js';
import { missingKernels } from '../terminal/missing-kernels.js';
import { forceOption } from './force-option.js';
import { showModelDigests, showRowDigests } from './show-digests.js';
import { clockTime } from '../terminal/progress.js';
import { taskTable } from '../terminal/report-tables.js';
import { evaluateOnBase } from './evaluate-on-base.js';
import { followTraining } from './follow-training.js';
import { importanceOf } from './importance-of-run.js';
import { dryRun } from './train-dry-run.js';
import { fitTrainingRows } from './fit-training-rows.js';
import { locateGivenModel } from './given-model.js';
import { addClusterOptions, type ClusterTrainOptions, openTrainingCluster } from './train-cluster.js';
import type { TrainingPool } from './training-pool.js';
import {
  addWorkerOptions,
  openTrainingWorkers,
  workerMicroBatches,
  type WorkerOptions,
} from './train-workers.js';
import { warmFeatures } from './warm-features.js';
import { addSettingOptions, configOfOptions, type SettingOptions } from './setting-options.js';

interface TrainOptions extends SettingOptions, WorkerOptions, ClusterTrainOptions {
  readonly taskFile: string;
  readonly model: string;
  readonly data?: string;
  readonly out: string;
  readonly resume: boolean;
  readonly force: boolean;
  readonly dryRun: boolean;
}

export function addTrainCommand({ program, context, run, world }: CommandSetup): void {
  const command = program
    .command('train <tasks.yaml>')
    .description('train one segment per task of a task file, in dependency order, and write the adapters')
    .requiredOption(
      '--model <path>',
      'model directory, GGUF file, name in the Hugging Face cache, or "embedded"',
    )
    .option('--data <directory>', 'directory of the data files (default: the directory of the task file)')
    .option('--out <directory>', 'output directory', 'contextlora-output');
  addSettingOptions(command);
  addWorkerOptions(command);
  addClusterOptions(command);
  command
    .option('--resume', 'continue an earlier run in the same directory', false)
    .addOption(forceOption())
    .option('--dry-run', 'say how long it takes and how much memory it needs, and train nothing', false)
    .addHelpText(
      'after',
      helpExamples([
        [
          'contextlora train tasks.yaml --model ./SmolVLM-256M-Instruct --out run',
          'train on the data that the task file names',
        ],
        [
          "contextlora train tasks.yaml --model ./SmolVLM-256M-Instruct --config train.yaml --steps '{ road: 100, strategy: 300 }'",
          'settings from a file, and one of them from a flag, which counts more',
        ],
        [
          'contextlora train tasks.yaml --model ./SmolVLM-256M-Instruct --out run --cluster --workers 3',
          'on three machines that run "contextlora worker"',
        ],
        [
          'contextlora train tasks.yaml --model ./SmolVLM-256M-Instruct --out run --resume',
          'continue after Ctrl-C',
        ],
        ['contextlora chat --model ./SmolVLM-256M-Instruct --adapter run --task road', 'talk to the result'],
      ]),
    )
    .action((taskFile: string, options: Omit<TrainOptions, 'taskFile'>) =>
      run(() => runTrain({ taskFile, ...options }, context, world.hostname)),
    );
}

/** Checks its inputs, then trains, evaluates and writes. */
async function runTrain(options: TrainOptions, context: CommandContext, hostname: string): Promise<void> {
  const { progress, clock, signal, hubDirectory, version } = context;
  const started = clock();
  const { taskFile, out, resume, force } = options;
  const given = await configOfOptions(options);
  requireWorkersFor(options);
  const { workers = 1, cluster } = options;
  const isPooled = workers > 1 || cluster !== undefined;
  const config = isPooled ? { microBatches: workerMicroBatches, ...given } : given;
  const { threads = 1, saveEverySteps, baseFormat } = config;
  const rowLimits = rowLimitsOf(config);
  // Everything is read first, so that a mistake leaves nothing behind.
  const { parentAnswers } = config;
  const read = await readTaskData(taskFile, {
    ...(options.data === undefined ? {} : { dataDirectory: options.data }),
    ...(parentAnswers === undefined ? {} : { parentAnswers }),
  });
  checkTrainConfig(config, { tasks: read.file.tasks });
  const modelDirectory = await locateGivenModel(options.model, { hubDirectory });
  // A dry run leaves no trace, not even a lock.
  await using directory = options.dryRun
    ? undefined
    : await openRunDirectory(out, { kind: 'train', resume, force });
  const kernels = await openKernels({ threads });
  const loaded = await loadModel(modelDirectory, {
    kernels,
    ...(baseFormat === undefined ? {} : { base: baseFormat }),
  });
  let prepared: PreparedRun | undefined;
  let model: ModelDigests | undefined;
  let pool: TrainingPool | undefined;
  try {
    const base = config.chatTemplate === true ? withChatPrompts(loaded) : loaded;
    const { data, changes } = await fitTrainingRows(base, read, config, { progress, signal });
    const rows = Object.entries(data.rows).map(([task, { train }]) => [task, train.length] as const);
    const settings = settingsOf(config, { rows: Object.fromEntries(rows) });
    const importance = await importanceOf(base, data, settings, context);
    if (directory && isPooled) {
      const pooled = {
        modelPath: resolve(modelDirectory),
        baseFormat,
        data,
        settings,
        phases: () => prepared?.phases ?? [],
      };
      pool =
        cluster === undefined
          ? await openTrainingWorkers(base, { count: workers, threads, ...pooled }, context)
          : await openTrainingCluster(
              base,
              {
                ...options,
                ...pooled,
                run: `${hostname} ${resolve(out)}`,
                count: workers,
                digests() {
                  if (!model)
                    throw new Error('internal: devices are asked to train before the model is digested');
                  return model;
                },
              },
              context,
            );
    }
    const run = (prepared = prepareRun(base, data, {
      settings,
      importance,
      rowsFit: true,
      siblingsTogether: cluster !== undefined,
      ...(pool ? { createModel: pool.createModel } : {}),
    }));
    if (!directory) {
      await dryRun(run, settings, context);
      return;
    }
    model = await showModelDigests(modelDirectory, context);
    const inputs = {
      ...describeInputs({
        settings,
        file: data.file,
        model,
        others: {
          'the kernels': kernels.backend,
          'the version of contextlora': version,
          ...(cluster === undefined ? {} : { 'the phases': 'siblings together' }),
        },
      }),
      ...(await showRowDigests(data, context)),
    };
    const state = await directory.begin(inputs);
    if (state === 'finished') {
      progress.print(
        `The run in ${out} is finished; its files are as it wrote them, and nothing is left to do.`,
      );
      return;
    }
    await directory.describe({
      file: data.file,
      dataDirectory: options.data ?? dirname(taskFile),
      model: { name: options.model, path: resolve(modelDirectory), digests: model },
      settings,
      ...(Object.keys(rowLimits).length > 0 ? { rowLimits } : {}),
      inputs,
      partition: run.partition,
      phases: run.phases,
    });
    if (resume && state === 'new') progress.print(`  There is no earlier run in ${out}: a new one begins.`);

    for (const line of toText(data.graph).split('\n')) progress.print(`  ${line}`);
    progress.print(
      `  ${base.spec.architecture}, ${(base.parameterCount / 1e6).toFixed(2)} M parameters, ${kernels.backend} kernels`,
    );
    for (const line of await missingKernels(kernels.backend)) progress.print(`  ${line}`);
    await warmFeatures(run.model.features, data, context);
    const onBase = await evaluateOnBase(run, context);
    const events = trainRun(run, {
      settings,
      checkpoints: fileCheckpoints(join(out, 'checkpoints')),
      ...(saveEverySteps === undefined ? {} : { saveEverySteps }),
      fingerprint: inputs,
    });
    const record = await followTraining(events, { directory: out, phaseCount: run.phases.length }, context);
    const order = run.phases.flatMap(({ tasks }) => tasks);
    const report: RunReport = {
      name: data.file.name ?? taskFile,
      seed: settings.seed,
      settings: { ...config, ...settings },
      inputs,
      base: { directory: modelDirectory, parameters: base.parameterCount, backend: kernels.backend },
      ...taskResults(data, order, { base: onBase, trained: record.evaluations, probes: new Map() }),
      ...(changes.length > 0 ? { longRows: changes } : {}),
      certificates: record.certificates,
      timing: { seconds: { total: Math.round(clock() - started) } },
    };
    await pool?.report(options);
    progress.print();
    for (const line of taskTable(report)) progress.print(`  ${line}`);
    const written = await directory.finish(async (folder) => [
      ...(await writeRun(folder, {
        partition: run.partition,
        segments: run.model.segments(),
        report,
        baseModel: options.model,
      })),
      ...(await writeDrawings(folder, {
        name: report.name,
        graph: data.graph,
        losses: record.losses,
        accuracies: record.accuracies,
      })),
    ]);
    progress.print();
    for (const line of listFiles(written, { below: out })) progress.print(`  ${line}`);
    progress.print(`Done in ${clockTime(clock() - started)}.`);
  } finally {
    await prepared?.model[Symbol.asyncDispose]();
    await pool?.[Symbol.asyncDispose]();
    loaded.dispose();
  }
}

/** @throws CliError when options have nothing to act on, or a dry run would leave out the workers. */
function requireWorkersFor({ workers = 1, cluster, dryRun, ...files }: TrainOptions): void {
  if (dryRun && (workers > 1 || cluster !== undefined))
    throw new CliError(
      'CLI_OPTIONS_INVALID',
      'train',
      `--dry-run predicts a run in one process; leave out ${cluster === undefined ? '--workers' : '--cluster'}`,
    );
  const asked = (['trace', 'traceSvg'] as const).filter((key) => files[key] !== undefined);
  const name = asked[0] === 'trace' ? '--trace' : '--trace-svg';
  if (asked.length > 0 && workers < 2 && cluster === undefined)
    throw new CliError(
      'CLI_OPTIONS_INVALID',
      'train',
      `${name} shows a step on several workers; give --workers 2 or more`,
    );
  const [ofCluster] = (['identity', 'carrier', 'host'] as const).filter((key) => files[key] !== undefined);
  if (ofCluster && cluster === undefined)
    throw new CliError('CLI_OPTIONS_INVALID', 'train', `--${ofCluster} is for a cluster; give --cluster too`);
}
