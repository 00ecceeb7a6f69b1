import { once } from 'node:events';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';

import { describe, expect, test } from '@jest/globals';
import { loadOnnxRuntime, openKernels } from '@contextlora/kernels';

import { type ThreadTask, product } from './worker-thread.js';

const backends = typeof loadOnnxRuntime() === 'string' ? (['wasm'] as const) : (['wasm', 'onnx'] as const);

/** Starts a thread with its own tfjs and kernels, from source. */
function startThread(workerData: ThreadTask): Worker {
  const thread = pathToFileURL(join(import.meta.dirname, 'worker-thread.ts')).href;
  const code = `import('tsx/esm/api').then(({ register }) => { register(); return import('${thread}'); })`;
  return new Worker(code, { eval: true, workerData, execArgv: ['--conditions', '@contextlora/source'] });
}

async function firstMessage(thread: Worker): Promise<number[]> {
  const [values] = (await once(thread, 'message')) as [Float32Array];
  return [...values];
}

describe.each(backends)('the %s backend in worker threads', (backend) => {
  test('gives the same bits in several threads as in the main thread', async () => {
    const kernels = await openKernels({ prefer: backend });
    const threads = [startThread({ backend, mode: 'once' }), startThread({ backend, mode: 'once' })];
    const exits = threads.map((thread) => once(thread, 'exit'));
    const expected = [...product(kernels)];
    for (const values of await Promise.all(threads.map(firstMessage))) expect(values).toEqual(expected);
    for (const exit of exits) expect(await exit).toEqual([0]);
    kernels.dispose();
  });

  test('ends only the thread in which an error occurs', async () => {
    const kernels = await openKernels({ prefer: backend });
    const going = startThread({ backend, mode: 'on' });
    await firstMessage(going);
    const [error] = (await once(startThread({ backend, mode: 'fail' }), 'error')) as [Error];
    expect(error.message).toBe('kernels/linear: x must be float32 [any, 3], got float32 [1, 2]');
    const exit = once(going, 'exit');
    going.postMessage('stop');
    expect(await exit).toEqual([0]);
    expect(product(kernels)).toHaveLength(16 * 48);
    kernels.dispose();
  });
});

test('a thread on the wasm backend may be terminated while it computes', async () => {
  const thread = startThread({ backend: 'wasm', mode: 'on' });
  await firstMessage(thread);
  expect(await thread.terminate()).toBe(1);
  const kernels = await openKernels({ prefer: 'wasm' });
  expect(product(kernels)).toHaveLength(16 * 48);
  kernels.dispose();
});
