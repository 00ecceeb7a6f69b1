/**
 * Runs the suites of the kernels and a whole LoRA step on the reference backend over WebGPU; where that cannot be had, says so and passes.
 * Usage: npm run test:webgpu
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

import { openWebGpu } from '@contextlora/kernels';

const opened = await openWebGpu();
if (typeof opened === 'string') {
  console.log(`notice: WebGPU is not tested; ${opened}`);
  process.exit(0);
}
console.log(`WebGPU on ${opened.adapter}`);
const root = join(import.meta.dirname, '..');
const { status } = spawnSync(
  process.execPath,
  [
    '--experimental-vm-modules',
    join(root, 'node_modules/jest/bin/jest.js'),
    '--config',
    join(root, 'jest.webgpu.config.mjs'),
    // One device, and suites that the processor computes.
    '--runInBand',
    '--testNamePattern',
    'webgpu',
  ],
  { stdio: 'inherit' },
);
process.exit(status ?? 1);
