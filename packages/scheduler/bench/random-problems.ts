/** Random planning problems, from a seed. */
import type { Cluster, LayerCost, Workload } from '@contextlora/scheduler';

export interface RandomProblemOptions {
  readonly devices: number;
  readonly layers: number;
  readonly samples: number;
  /** Memory of a device as a share of the model, drawn from this to twice this. */
  readonly memoryShare: number;
  readonly megabitsPerSecond: number;
  /** Whether the links share one medium. */
  readonly shared: boolean;
  /** Lowest trained layer. */
  readonly lowest?: number;
}

export function randomProblem(
  random: () => number,
  {
    devices,
    layers: count,
    samples,
    memoryShare,
    megabitsPerSecond,
    shared,
    lowest = 0,
  }: RandomProblemOptions,
): { workload: Workload; cluster: Cluster } {
  const between = (low: number, high: number) => low + random() * (high - low);
  const layers = Array.from({ length: count }, (_, index): LayerCost => {
    const flops = between(1, 2) * 1e9;
    const trains = index >= lowest;
    return {
      name: `layer ${index}`,
      forwardFlops: flops,
      inputFlops: index > lowest ? flops : 0,
      weightFlops: trains ? flops / 20 : 0,
      parameterBytes: 50e6,
      gradientBytes: trains ? 0.2e6 : 0,
      optimizerBytes: trains ? 0.6e6 : 0,
      activationBytes: trains ? 2e6 : 0,
      outputBytes: 0.15e6,
    };
  });
  const cluster: Cluster = {
    devices: Array.from({ length: devices }, (_, index) => ({
      id: `d${index}`,
      flopsPerSecond: between(1, 5) * 1e11,
      memoryBytes: between(memoryShare, 2 * memoryShare) * 50e6 * count + 40e6,
    })),
    links: [
      {
        from: '*',
        to: '*',
        bytesPerSecond: (megabitsPerSecond * 1e6) / 8,
        latencySeconds: 0.001,
        ...(shared ? { medium: 'wifi' } : {}),
      },
    ],
  };
  return { workload: { name: 'task', samples, layers, steps: 100 }, cluster };
}

/** Uniform in [0, 1), from a seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 4294967296;
  };
}
