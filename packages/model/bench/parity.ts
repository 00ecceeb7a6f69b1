/**
 * Prints the error of every number of the golden fixtures (PyTorch, transformers, PEFT) and fails if any is too large.
 * Usage: npm run parity -- [--backend reference|wasm|onnx] [--json FILE]
 */
import { parseArgs } from 'node:util';

import { openKernels } from '@contextlora/kernels';
import { writeWhole } from '@contextlora/lora/files';

import { adapterChecks } from '../test/adapter-checks.js';
import { openModels, parityChecks } from '../test/parity-checks.js';

const { values } = parseArgs({
  options: { backend: { type: 'string' }, json: { type: 'string' } },
});
const prefer = values.backend;
if (prefer !== undefined && prefer !== 'reference' && prefer !== 'wasm' && prefer !== 'onnx')
  throw new Error(`--backend is "${prefer}"; reference, wasm and onnx are`);
const kernels = await openKernels(prefer === undefined ? {} : { prefer });
const { open, dispose } = openModels(kernels);
const rows: { fixture: string; quantity: string; error: number; tolerance: number; passes: boolean }[] = [];
console.log(`on the ${kernels.backend} backend`);
console.log(
  `${'fixture'.padEnd(32)}${'quantity'.padEnd(34)}${'worst error'.padStart(12)}${'tolerance'.padStart(12)}`,
);
for (const { fixture, quantity, tolerance, measure } of [...parityChecks, ...adapterChecks]) {
  const error = await measure(open);
  rows.push({ fixture, quantity, error, tolerance, passes: error <= tolerance });
  console.log(
    `${fixture.padEnd(32)}${quantity.padEnd(34)}${error.toExponential(1).padStart(12)}${tolerance.toExponential(0).padStart(12)}${error <= tolerance ? '' : '  TOO FAR'}`,
  );
}
dispose();
const failed = rows.filter(({ passes }) => !passes).length;
console.log(`${rows.length - failed} of ${rows.length} within tolerance`);
if (values.json)
  await writeWhole(values.json, `${JSON.stringify({ backend: kernels.backend, rows }, null, 2)}\n`);
kernels.dispose();
if (failed > 0) process.exitCode = 1;
