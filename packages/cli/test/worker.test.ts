import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

import { openKernels } from '@contextlora/kernels';
import { initialiseSegments, partitionRanks } from '@contextlora/lora';
import { createLocalModel, digestModel, type Example, linearsOf, loadModel } from '@contextlora/model';
import {
  createPipelineModel,
  openTransport,
  type PipelineEvent,
  type PlacedPipeline,
} from '@contextlora/runtime';
import {
  announceEndpoint,
  type ClusterPlan,
  controlMessages,
  type Engine,
  findEndpoint,
  proposePlan,
  watchMembers,
} from '@contextlora/runtime/engine';
import { grpcWire } from '@contextlora/runtime/grpc';
import { connectNats, openNatsStore } from '@contextlora/runtime/nats';
import { contextGear } from '@contextlora/scheduler';
import { pipelineSide, workloadsOf } from '@contextlora/workloads';
import { expect, test } from '@jest/globals';

import { describeWithNats, whileUp } from './cluster-up.js';
import { runCommand } from './run-command.js';

const modelPath = join(import.meta.dirname, '../../benchmarks/models/iov-base');
const clock = () => performance.now() / 1000;
const phase = { tasks: ['weather'], roles: { weather: { weather: 'train' as const } } };
const labels = ['night', 'sunny'];
const examples: Example[] = ['low', 'bright', 'low .', 'bright .'].map((text, i) => ({
  prompt: `the light is ${text} light ?`,
  answer: labels[i % 2]!,
  labels,
}));
const batches = [examples.slice(0, 2), examples.slice(2)];

async function digestsOf(path: string) {
  const digesting = digestModel(path);
  for (;;) {
    const next = await digesting.next();
    if (next.done) return next.value;
  }
}

describeWithNats('contextlora worker', () => {
  test('trains the layers that a plan gives it, to the byte as without a cluster', async () => {
    const base = await loadModel(modelPath, { kernels: await openKernels({ threads: 1 }) });
    const linears = linearsOf(base.spec).filter(({ layerIndex }) => layerIndex !== undefined);
    const partition = partitionRanks(linears, [{ id: 'weather', dependsOn: [] }], { rank: 4 });
    const segments = () => initialiseSegments(partition, { seed: 1 });
    const alone = createLocalModel(base, { partition, segments: segments() });
    await alone.setPhase(phase);
    for (let step = 0; step < 2; step++) await alone.step('weather', batches, { learningRate: 1e-2 });

    const directory = mkdtempSync(join(tmpdir(), 'contextlora-worker-'));
    // One event loop holds them all: while one computes, another could not say that it lives.
    const workers = ['a'];
    await whileUp([directory], async (address) => {
      const interrupts = new Map<string, () => void>();
      const printed = new Map<string, string>();
      const seen = async (name: string, text: string) => {
        while (printed.get(name)?.includes(text) !== true) await setTimeout(20);
      };
      const running = workers.map((name) =>
        runCommand(['worker', '--server', address, '--model', modelPath, '--name', name], {
          onOutput(out, interrupt) {
            interrupts.set(name, interrupt);
            printed.set(name, out);
          },
        }),
      );
      const connection = await connectNats(address, { name: 'chief' });
      const engine: Engine = {
        store: await openNatsStore(connection, { cluster: 'development' }),
        messages: controlMessages({ cluster: 'development', device: 'chief' }),
      };
      const stop = new AbortController();
      for await (const members of watchMembers(engine, { clock, signal: stop.signal }))
        if (members.length === workers.length) break;
      const plan: ClusterPlan = {
        run: 'test',
        coordinator: 'chief',
        devices: workers,
        carrier: 'grpc',
        work: { partition, model: await digestsOf(modelPath) },
      };
      const unproved = (await proposePlan(engine, { ...plan, work: { partition } }, { after: 0 }))!;
      await seen('a', 'chief does not say by digests which model it trains');
      const { epoch } = (await proposePlan(engine, plan, { after: unproved.epoch }))!;
      const events: PipelineEvent[] = [];
      {
        await using transport = await openTransport(
          grpcWire({
            device: 'chief',
            peers: workers,
            host: '127.0.0.1',
            announce: (endpoint) => announceEndpoint(engine, { epoch, endpoint, sequence: 1 }),
            endpointOf: (peer, signal) => findEndpoint(engine, { epoch, peer, signal }),
          }),
          { device: 'chief', peers: workers, epoch, session: randomInt(2 ** 32), clock, silenceSeconds: 60 },
        );
        await using pipeline = createPipelineModel({
          transport,
          devices: workers,
          onEvent: (event) => events.push(event),
          model: pipelineSide({
            text: base,
            partition,
            segments: segments(),
            predict: () => Promise.resolve([]),
          }),
          place: (): PlacedPipeline => ({
            workloads: workloadsOf(base.spec, partition, [phase], {
              trainingOf: () => ({ sample: { tokens: 12, answered: 2 }, samples: examples.length }),
            }),
            cluster: {
              devices: workers.map((id) => ({ id, flopsPerSecond: 1e9, memoryBytes: 1e12 })),
              links: [{ from: '*', to: '*', bytesPerSecond: 1e9, latencySeconds: 1e-5 }],
            },
            policy: contextGear,
            placement: {
              tasks: ['weather'],
              microbatches: batches.length,
              stages: [
                { start: 0, end: base.spec.text.layerCount + 2, members: [{ device: 'a', share: 1 }] },
              ],
            },
          }),
        });
        await pipeline.setPhase(phase);
        for (let step = 0; step < 2; step++) await pipeline.step('weather', batches, { learningRate: 1e-2 });
        expect(await pipeline.hashSegment('weather')).toBe(await alone.hashSegment('weather'));
        expect(await pipeline.hashOptimizer('weather')).toBe(await alone.hashOptimizer('weather'));
      }
      expect(events.map(({ type }) => type)).toEqual(['placed', 'step', 'step']);
      for (const interrupt of interrupts.values()) interrupt();
      for (const [index, outcome] of (await Promise.all(running)).entries())
        expect(outcome).toMatchObject({
          code: 130,
          err: '',
          out: expect.stringMatching(
            new RegExp(
              `^${workers[index]} has joined cluster development at ${address}, and waits for plans until Ctrl-C\\.\n` +
                'Plan 1 begins: test, 1 worker, tensors by grpc\nPlan 1 has ended: .* which model it trains.*\n' +
                'Plan 2 begins: test, 1 worker, tensors by grpc\nPlan 2 has ended',
            ),
          ) as unknown,
        });
      await connection.close();
    });
    rmSync(directory, { recursive: true, force: true });
    base.dispose();
  });
});
