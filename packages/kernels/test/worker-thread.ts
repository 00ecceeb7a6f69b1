/** What workers.test.ts runs in a worker thread. */
import { parentPort, workerData } from 'node:worker_threads';

import { type Kernels, openKernels } from '@contextlora/kernels';
import * as tf from '@contextlora/kernels/tfjs';

export interface ThreadTask {
  readonly backend: Kernels['backend'];
  /** `once` ends by itself; `fail` passes a wrong shape; `on` runs until it gets a message. */
  readonly mode: 'once' | 'fail' | 'on';
}

/** y of a linear layer of fixed numbers. */
export function product(kernels: Kernels): Float32Array {
  const numbers = (count: number) => Float32Array.from({ length: count }, (_, i) => Math.sin(i));
  const weight = kernels.prepareLinear(numbers(48 * 32), 48, 32);
  const x = tf.tensor2d(numbers(16 * 32), [16, 32]);
  const { y, saved } = kernels.linear(x, weight);
  const values = y.dataSync() as Float32Array;
  saved.dispose();
  tf.dispose([x, y]);
  weight.dispose();
  return values;
}

if (parentPort) {
  const port = parentPort;
  const { backend, mode } = workerData as ThreadTask;
  const kernels = await openKernels({ prefer: backend });
  if (mode === 'fail') kernels.linear(tf.zeros([1, 2]), kernels.prepareLinear(new Float32Array(3), 1, 3));
  port.postMessage(product(kernels));
  let stopped = mode !== 'on';
  port.once('message', () => {
    stopped = true;
  });
  while (!stopped) {
    product(kernels);
    await new Promise((resolve) => setImmediate(resolve));
  }
  port.close();
}
