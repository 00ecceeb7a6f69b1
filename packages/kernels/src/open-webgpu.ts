/**
 * The reference backend on WebGPU: tfjs-backend-webgpu, in Node over Dawn's binding. Both packages are optional and loaded on demand.
 *
 * Nothing is read back during an optimizer step: losses are promises, and `data()` gives a tensor's values; `dataSync()` throws.
 */
import * as tf from '@contextlora/kernels/tfjs';

import type { Kernels } from './kernels.js';
import { createReferenceKernels } from './reference/kernels.js';

export interface WebGpuBackend {
  readonly kernels: Kernels;
  /** The device as its driver describes it. */
  readonly adapter: string;
}

/** The part of WebGPU that is used here. */
interface Gpu {
  requestAdapter(): Promise<{ readonly info: Readonly<Record<'vendor' | 'description', string>> } | null>;
}

interface DawnBinding {
  create(flags: readonly string[]): Gpu;
  readonly globals: object;
}

/**
 * Selects and starts the tfjs WebGPU backend, or says in one sentence why it is not available; `load` imports modules.
 *
 * In Node it defines the globals that the backend expects: `navigator.gpu` and the constructors of WebGPU.
 */
export async function openWebGpu(
  load: (module: string) => Promise<unknown> = (module) => import(module),
): Promise<WebGpuBackend | string> {
  const install = 'npm install webgpu@0.6.2 @tensorflow/tfjs-backend-webgpu@4.22.0';
  const scope = globalThis as unknown as { navigator?: { gpu?: Gpu } };
  let gpu = scope.navigator?.gpu;
  if (!gpu) {
    let dawn: DawnBinding;
    try {
      dawn = (await load('webgpu')) as DawnBinding;
    } catch (cause) {
      return `the package webgpu does not load (${firstLine(cause)}); ${install} adds it`;
    }
    gpu = dawn.create([]);
    Object.assign(globalThis, dawn.globals);
    // Node 20 has no navigator; later versions have one without a gpu.
    if (scope.navigator) Object.defineProperty(scope.navigator, 'gpu', { value: gpu, configurable: true });
    else
      Object.defineProperty(globalThis, 'navigator', {
        value: { gpu, userAgent: 'node' },
        configurable: true,
      });
  }
  const adapter = await gpu.requestAdapter();
  if (!adapter)
    return 'there is no WebGPU adapter: no driver for a graphics card, and no software adapter (see the README of @contextlora/kernels)';
  try {
    await load('@tensorflow/tfjs-backend-webgpu');
  } catch (cause) {
    return `@tensorflow/tfjs-backend-webgpu does not load (${firstLine(cause)}); ${install} adds it`;
  }
  if (!(await tf.setBackend('webgpu'))) return 'the tfjs WebGPU backend did not start';
  const { vendor, description } = adapter.info;
  return { kernels: createReferenceKernels(), adapter: `${vendor} ${description}`.trim() };
}

const firstLine = (cause: unknown) => (cause as Error).message.split('\n')[0] ?? '';
