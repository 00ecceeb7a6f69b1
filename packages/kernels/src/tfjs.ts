/**
 * TensorFlow.js for all packages: everything of tfjs-core, and the wasm backend on demand.
 *
 * In a clone these are the packages of tfjs; the published package contains a bundle of them (tsup.tfjs.config.ts).
 */
import { findBackendFactory } from '@tensorflow/tfjs-core';

export * from '@tensorflow/tfjs-core';

/**
 * Registers the wasm backend unless one is registered, such as that of another copy of tfjs.
 *
 * Copies share one engine, and the kernels of a second backend would replace those of the first.
 * @param wasmFolder URL prefix of the three .wasm files, for browsers; in Node they are found next to the code.
 */
export async function registerWasmBackend(wasmFolder?: string): Promise<void> {
  // Its type omits the null.
  if ((findBackendFactory('wasm') as unknown) !== null) return;
  const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
  if (wasmFolder !== undefined) setWasmPaths(wasmFolder);
}
