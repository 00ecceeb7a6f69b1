import { join } from 'node:path';

import { preset } from './tools/jest.mjs';

const packages = join(import.meta.dirname, 'packages');

/** The same suites of operations over WebGPU, and a training step; `npm run test:webgpu` runs them where there is an adapter. */
export default {
  testTimeout: 600_000,
  projects: [
    {
      ...preset(join(packages, 'kernels')),
      globals: { testedBackends: ['webgpu'] },
      testMatch: ['kernels', 'vocabulary', 'decoding', 'hostile-operands'].map(
        (name) => `<rootDir>/test/${name}.test.ts`,
      ),
    },
    { ...preset(join(packages, 'model')), testMatch: ['<rootDir>/test/step.webgpu.ts'] },
  ],
};
