/**
 * The built package next to a user's own tfjs: copies share one engine, so what one copy makes or replaces, the other has.
 * Usage, after a build: node test/two-copies.mjs
 */
import assert from 'node:assert/strict';

import { accelerateTfjs, openKernels } from '@contextlora/kernels';
import * as bundled from '@contextlora/kernels/tfjs';
import * as installed from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-wasm';

const valuesOf = (tensor) => [...tensor.dataSync()];
const original = installed.getKernel('BatchMatMul', 'wasm');

const acceleration = await accelerateTfjs({ prefer: 'wasm' });
assert.notEqual(installed.add, bundled.add, 'there are two copies');
assert.equal(installed.engine(), bundled.engine());
assert.notEqual(
  installed.getKernel('BatchMatMul', 'wasm'),
  original,
  'tf.matMul of the other copy is accelerated',
);
const a = installed.tensor2d([[1, 2, 3]]);
const b = bundled.tensor2d([[4, 5, 6]]);
assert.ok(a instanceof bundled.Tensor && b instanceof installed.Tensor);
for (const tf of [installed, bundled]) {
  assert.deepEqual(valuesOf(tf.matMul(a, b, false, true)), [32]);
  assert.deepEqual(valuesOf(tf.add(a, b)), [5, 7, 9]);
}
acceleration.restore();
assert.equal(installed.getKernel('BatchMatMul', 'wasm'), original);

const square = bundled.customGrad((x, save) => {
  save([x]);
  return { value: installed.square(x), gradFunc: (dy, [saved]) => bundled.mul(dy, installed.mul(saved, 2)) };
});
assert.deepEqual(valuesOf(installed.grad((x) => square(x))(a)), [2, 4, 6]);

const tensors = installed.memory().numTensors;
installed.tidy(() => bundled.add(a, b).dispose());
bundled.tidy(() => void installed.add(a, b));
assert.equal(bundled.memory().numTensors, tensors, 'a scope of one copy disposes tensors of the other');

const kernels = await openKernels({ prefer: 'wasm' });
const { y } = kernels.linear(a, kernels.prepareLinear(Float32Array.of(1, 2, 3, 4, 5, 6), 2, 3), []);
assert.deepEqual(valuesOf(installed.relu(y)), [14, 32]);
console.log('ok    tfjs in the package and a tfjs of the user share one engine');
