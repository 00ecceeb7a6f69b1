/** `contextlora train --cluster`: the layers of the model on the workers that have joined a cluster. */
import {
  type AnswerPrediction,
  type LoadedModel,
  type ModelDigests,
  openImageFeatures,
} from '@contextlora/model';
import { type ClusterDevices, openClusterDevices } from '@contextlora/runtime/engine';
import type { DeviceProfile } from '@contextlora/scheduler';
import { openClusterPipeline } from '@contextlora/workloads';
import { type Command, Option } from 'commander';

import { openCarrier } from '../cluster/open-carrier.js';
import { openEngine } from '../cluster/open-engine.js';
import { type CommandContext, Stopped } from '../command-context.js';
import { pause } from '../pause.js';
import { openPipelineReport } from './pipeline-report.js';
import {
  answerHere,
  placeOnDevices,
  type PooledRun,
  profileHere,
  type TrainingPool,
} from './training-pool.js';
import type { LayerWork } from './worker.js';

export interface ClusterTrainOptions {
  /** `host:port`, or true for the address that the identity or a development server has. */
  readonly cluster?: string | true;
  readonly identity?: string;
  readonly carrier?: 'grpc' | 'nats';
  readonly host?: string;
}

export function addClusterOptions(command: Command): void {
  command
    .option(
      '--cluster [host:port]',
      'train on the workers that have joined a cluster; --workers says for how many to wait (1), and siblings train side by side',
    )
    .option('--identity <directory>', 'with --cluster: this device\'s directory, from "cluster init"')
    .addOption(
      new Option(
        '--carrier <name>',
        'with --cluster: tensors directly by gRPC (grpc), or through the NATS server',
      ).choices(['grpc', 'nats']),
    )
    .option('--host <address>', 'with --cluster: address at which workers reach this machine (127.0.0.1)');
}

export interface TrainingClusterOptions extends PooledRun, ClusterTrainOptions {
  /** Names the run in the cluster. */
  readonly run: string;
  /** Workers to wait for. */
  readonly count: number;
  /** Of the model, by which workers prove theirs. */
  readonly digests: () => ModelDigests;
}

/** Of a link that nobody has measured: that of a fast local network. */
const link = { from: '*', to: '*', bytesPerSecond: 1e8, latencySeconds: 5e-4 };

export async function openTrainingCluster(
  base: LoadedModel,
  {
    run,
    count,
    digests,
    cluster,
    identity,
    carrier = 'grpc',
    host = '127.0.0.1',
    ...pooled
  }: TrainingClusterOptions,
  { progress, clock, signal }: CommandContext,
): Promise<TrainingPool> {
  const opened = await openEngine(
    {
      ...(typeof cluster === 'string' ? { server: cluster } : {}),
      ...(identity === undefined ? {} : { identity }),
    },
    {
      name: 'coordinator',
      onRefused({ place, fault, what }) {
        progress.print(`  refused a message at ${place} (${fault}): ${what}`);
      },
    },
  );
  const profile = await profileHere(base, pooled.settings, { clock });
  const report = openPipelineReport({ progress });
  /** Rates that measured steps showed. */
  const fitted = new Map<string, DeviceProfile>();
  const pools: ClusterDevices[] = [];

  return {
    createModel(
      of,
      { partition, segments, optimizer, promptLoss = false, dropout, features = openImageFeatures(of) },
    ) {
      const devices = openClusterDevices(opened.engine, {
        run,
        carrier,
        clock,
        work: (): LayerWork => ({
          partition,
          ...(pooled.baseFormat === undefined ? {} : { base: pooled.baseFormat }),
          ...(optimizer ? { optimizer } : {}),
          model: digests(),
        }),
        open: (plan, epoch) =>
          openCarrier(opened, plan, {
            ...{ epoch, host, clock },
            onRefused({ peer, fault, what }) {
              progress.print(`  refused a frame of ${peer} (${fault}): ${what}`);
            },
          }),
        onPlan(plan, epoch) {
          progress.print(`  plan ${epoch} of cluster ${opened.cluster}: ${plan.devices.join(', ')}`);
        },
      });
      pools.push(devices);
      const clusterOf = (names: readonly string[]) => {
        const memory = new Map(devices.members().map((member) => [member.device, member.memoryBytes]));
        const profiles = names.map(
          (id) => fitted.get(id) ?? profile({ id, memoryBytes: memory.get(id) ?? 1e12 }),
        );
        const now = report.refitted({ devices: profiles, links: [link] });
        for (const device of now.devices) fitted.set(device.id, device);
        return now;
      };
      let isBegun = false;
      const pipeline = openClusterPipeline<AnswerPrediction>({
        text: of,
        partition,
        segments,
        ...(optimizer ? { optimizer } : {}),
        promptLoss,
        dropout,
        onEvent: report.onEvent,
        place: placeOnDevices(of, partition, pooled, clusterOf),
        predict: answerHere(of, { partition, features }),
        async connect(left) {
          while (!isBegun && devices.members().length < count) {
            if (signal.aborted) throw new Stopped();
            const there = devices.members().map(({ device }) => device);
            progress.update(`  waiting for workers: ${there.length} of ${count} ${there.join(', ')}`);
            await pause(signal)(0.2);
          }
          isBegun = true;
          return devices.connect(left);
        },
      });
      return { ...pipeline, features };
    },
    report: (files) => report.write(files),
    async [Symbol.asyncDispose]() {
      for (const devices of pools) await devices[Symbol.asyncDispose]();
      await opened[Symbol.asyncDispose]();
    },
  };
}
