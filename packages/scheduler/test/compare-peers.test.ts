import { describe, expect, test } from '@jest/globals';
import { type Cluster, type LayerCost, SchedulerError, type Workload } from '@contextlora/scheduler';
import { comparePeers, singleDevice } from '@contextlora/scheduler/peers';

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
