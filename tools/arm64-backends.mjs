/** What test-arm64.mjs runs on the emulated processor: each operation's results on the wasm and the onnx backend against the reference's. */
import { openKernels } from '@contextlora/kernels';
import * as tf from '@contextlora/kernels/tfjs';

const tolerance = 1e-4;
const matrix = (rows, columns, slope) =>
  tf.tensor2d(
    Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(slope * (i * i + 1))),
    [rows, columns],
  );

async function resultsOn(backend) {
  const kernels = await openKernels({ prefer: backend, threads: backend === 'onnx' ? 2 : 1 });
  if (kernels.backend !== backend) throw new Error(`${backend} cannot be had`);
  const weight = kernels.prepareLinear(matrix(96, 64, 0.3).dataSync(), 96, 64);
  const segment = { a: matrix(8, 64, 0.7), b: matrix(96, 8, 0.9), scale: 2, train: true };
  const linear = kernels.linear(matrix(70, 64, 0.11), weight, [segment]);
  const back = kernels.linearBackward(matrix(70, 96, 0.13), linear.saved, weight, [segment], { input: true });
  const norm = kernels.rmsNorm(matrix(70, 64, 0.11), new Float32Array(64).fill(1.5), 1e-5);
  const gated = kernels.swiglu(matrix(300, 128, 0.17), matrix(300, 128, 0.19));
  const gatedBack = kernels.swigluBackward(matrix(300, 128, 0.23), gated.saved);
  const shape = { batch: 2, time: 9, heads: 4, kvHeads: 2, headDim: 8, causal: true };
  const attended = kernels.attention(matrix(18, 32, 0.29), matrix(18, 16, 0.31), matrix(18, 16, 0.37), shape);
  const attendedBack = kernels.attentionBackward(matrix(18, 32, 0.41), attended.saved, shape);
  const { loss, dLogits } = kernels.crossEntropy(
    matrix(5, 1000, 0.43),
    Int32Array.of(0, 1, 2, 998, 999),
    new Float32Array(5).fill(0.2),
  );
  const tensors = {
    ...{ linear: linear.y, dx: back.dx, da: back.segments[0].a, db: back.segments[0].b },
    ...{
      norm: norm.y,
      dNorm: kernels.rmsNormBackward(matrix(70, 64, 0.47), norm.saved, new Float32Array(64).fill(1.5)),
    },
    ...{ swiglu: gated.y, ...gatedBack, attention: attended.y, ...attendedBack, dLogits },
  };
  const values = Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => [name, tensor.dataSync().slice()]),
  );
  return { ...values, loss: Float32Array.of(loss) };
}

console.log(`node ${process.version} on ${process.platform}-${process.arch}`);
const expected = await resultsOn('reference');
for (const backend of ['wasm', 'onnx']) {
  const got = await resultsOn(backend);
  const errors = Object.entries(expected).map(([name, values]) => {
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const worst = values.reduce((most, value, i) => Math.max(most, Math.abs(value - got[name][i])), 0);
    return [name, worst / largest];
  });
  const wrong = errors.filter(([, error]) => !(error <= tolerance));
  const worst = Math.max(...errors.map(([, error]) => error));
  console.log(
    `${backend.padEnd(5)} ${errors.length} results, worst relative difference from the reference ${worst.toExponential(1)}` +
      wrong.map(([name, error]) => `\n  ${name}: ${error}`).join(''),
  );
  if (wrong.length > 0) process.exitCode = 1;
}
