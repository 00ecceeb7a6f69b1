/**
 * Times `tf.matMul` and the two products of its gradient with the original kernel of the wasm backend and with `accelerateTfjs`, interleaved.
 * Usage: npm run bench:matmul -- [--rounds N] [--threads N] [--json FILE]
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { accelerateTfjs, loadOnnxRuntime } from '@contextlora/kernels';
import * as tf from '@contextlora/kernels/tfjs';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: '1' },
    json: { type: 'string' },
  },
});
const threads = Number(values.threads);
const shapes = [
  { batch: [], m: 256, k: 576, n: 576 },
  { batch: [], m: 1024, k: 576, n: 1536 },
  { batch: [72], m: 128, k: 64, n: 128 },
];
const kinds = ['own', 'wasm', ...(typeof loadOnnxRuntime() === 'string' ? [] : (['onnx'] as const))] as const;

const results: Record<string, unknown>[] = [];
for (const { batch, m, k, n } of shapes) {
  await tf.registerWasmBackend();
  await tf.setBackend('wasm');
  const [a, b, dy] = [
    tf.randomNormal([...batch, m, k]),
    tf.randomNormal([...batch, k, n]),
    tf.randomNormal([...batch, m, n]),
  ];
  // dA = dY Bᵀ, dB = Aᵀ dY
  const products = {
    forward: () => [tf.matMul(a, b)],
    gradient: () => [tf.matMul(dy, b, false, true), tf.matMul(a, dy, true, false)],
  };
  const times = { forward: new Map<string, number[]>(), gradient: new Map<string, number[]>() };
  for (let round = 0; round < Number(values.rounds) + 1; round++)
    for (const kind of kinds) {
      const acceleration = kind === 'own' ? undefined : await accelerateTfjs({ prefer: kind, threads });
      for (const name of ['forward', 'gradient'] as const) {
        // The first run makes sessions and packs weights.
        for (let repeat = 0; repeat < 3; repeat++) {
          const start = performance.now();
          tf.dispose(products[name]());
          const milliseconds = performance.now() - start;
          if (round > 0 && repeat > 0)
            times[name].set(kind, [...(times[name].get(kind) ?? []), milliseconds]);
        }
      }
      acceleration?.restore();
    }
  tf.dispose([a, b, dy]);
  for (const name of ['forward', 'gradient'] as const) {
    const medians = kinds.map((kind) => median(times[name].get(kind) ?? []));
    const shown = kinds.map(
      (kind, i) =>
        `${kind} ${(medians[i] ?? NaN).toFixed(2)} ms` +
        (i === 0 ? '' : ` (${((medians[0] ?? NaN) / (medians[i] ?? NaN)).toFixed(1)} times faster)`),
    );
    results.push({
      batch,
      m,
      k,
      n,
      name,
      threads,
      milliseconds: Object.fromEntries(kinds.map((kind, i) => [kind, medians[i]])),
    });
    const size = `${[...batch, ''].join(' x ')}[${m}, ${k}] [${k}, ${n}]`;
    console.log(`${size.padEnd(28)} ${name.padEnd(8)}  ${shown.join('  ')}`);
  }
}

if (values.json) writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`);

function median(numbers: readonly number[]): number {
  return [...numbers].sort((x, y) => x - y)[Math.floor(numbers.length / 2)] ?? NaN;
}
