import { describe, expect, test } from '@jest/globals';
import { type Cluster, type LayerCost, SchedulerError, type Workload } from '@contextlora/scheduler';
import {
  comparePeers,
  mLora,
  peers,
  singleDevice,
  type Strategy,
  taskParallelName,
} from '@contextlora/scheduler/peers';

const layer: LayerCost = {
  name: 'layer',
  forwardFlops: 1e9,
  inputFlops: 1e9,
  weightFlops: 5e8,
  parameterBytes: 1e6,
  gradientBytes: 1e5,
  optimizerBytes: 2e5,
  activationBytes: 1e5,
  outputBytes: 1e4,
};
const workload = (name: string): Workload => ({ name, samples: 4, steps: 3, layers: [layer, layer] });
const cluster: Cluster = {
  devices: [
    { id: 'slow', flopsPerSecond: 1e9, memoryBytes: 1e9 },
    { id: 'fast', flopsPerSecond: 1e10, memoryBytes: 1e9 },
  ],
  links: [{ from: '*', to: '*', bytesPerSecond: 1e6, latencySeconds: 0.01 }],
};

describe('the comparison of peers', () => {
  test('lists the fastest first, and adds up the tasks that are trained one after the other', () => {
    const results = comparePeers([workload('a'), workload('b')], cluster);
    expect(results.length).toBeGreaterThan(5);
    expect(results.map(({ totalSeconds }) => totalSeconds)).toEqual(
      results.map(({ totalSeconds }) => totalSeconds).sort((a, b) => a - b),
    );
    const secondsOf = (workloads: readonly Workload[]) =>
      comparePeers(workloads, cluster, { strategies: [singleDevice] })[0]?.totalSeconds ?? NaN;
    expect(secondsOf([workload('a'), workload('b')])).toBeCloseTo(2 * secondsOf([workload('a')]), 9);
  });

  test('has columns in order: a frozen prefix slows nobody down, and a cache neither', () => {
    const trained = (name: string, lowest: number, ...dependsOn: string[]): Workload => ({
      ...workload(name),
      dependsOn,
      epochs: 3,
      layers: Array.from({ length: 4 }, (_, index) => ({
        ...layer,
        inputFlops: index > lowest ? layer.inputFlops : 0,
        weightFlops: index >= lowest ? layer.weightFlops : 0,
        gradientBytes: index >= lowest ? layer.gradientBytes : 0,
        optimizerBytes: index >= lowest ? layer.optimizerBytes : 0,
      })),
    });
    const plain = [trained('a', 0), trained('b', 0), trained('c', 0, 'a')];
    const frozen = [trained('a', 0), trained('b', 2), trained('c', 3, 'a')];
    const columns = [
      comparePeers(plain, cluster),
      comparePeers(frozen, cluster),
      comparePeers(frozen, cluster, { cache: true }),
    ];
    const names = columns[0]!.map(({ strategy }) => strategy).sort();
    expect(names).toEqual([...peers.map(({ name }) => name), taskParallelName].sort());
    for (const name of names) {
      const [whole, prefix, cached] = columns.map(
        (column) => column.find(({ strategy }) => strategy === name)!.totalSeconds,
      );
      expect(prefix).toBeLessThan(whole!);
      expect(cached).toBeLessThanOrEqual(prefix!);
    }
    // One device gains from the cache what the frozen layers compute after the first of three epochs.
    const alone = columns.map(
      (column) => column.find(({ strategy }) => strategy === singleDevice.name)!.totalSeconds,
    );
    expect(alone[1]! - alone[2]!).toBeCloseTo((2 * 4 * 1e9 * (2 + 3)) / 1e10, 6);
  });

  test('trains siblings in one pipeline only where that is faster', () => {
    const siblings = [workload('a'), workload('b')];
    const secondsOf = (workloads: readonly Workload[]) =>
      comparePeers(workloads, cluster, { strategies: [mLora] })[0]!.totalSeconds;
    expect(secondsOf(siblings)).toBeLessThanOrEqual(2 * secondsOf([workload('a')]) + 1e-9);
    // One that has nothing for two tasks but the worst device.
    const clumsy: Strategy = {
      ...singleDevice,
      interleavesTasks: true,
      *candidates(problem) {
        const all = [...singleDevice.candidates(problem)];
        yield* problem.tasks.length > 1 ? all.slice(0, 1) : all;
      },
    };
    const [apart] = comparePeers(siblings, cluster, { strategies: [singleDevice] });
    const [chosen] = comparePeers(siblings, cluster, { strategies: [clumsy] });
    expect(chosen).toEqual(apart);
  });

  test('leaves out peers for which nothing fits', () => {
    const devices = cluster.devices.map((device) => ({ ...device, memoryBytes: 1e3 }));
    expect(comparePeers([workload('a')], { ...cluster, devices })).toEqual([]);
  });

  test('refuses a problem that cannot be right, with the path of every field', () => {
    const wrong = () => comparePeers([{ ...workload('a'), layers: [] }], { devices: [], links: [] });
    expect(wrong).toThrow(SchedulerError);
    expect(wrong).toThrow(/scheduler\/comparePeers: [^]*layers: is empty[^]*devices: is empty/);
  });
});
