/** Loads one model in a separate process and prints the cost: load-process.ts SETTINGS as JSON. */
import { openKernels } from '@contextlora/kernels';
import { type BaseFormat, loadModel, openFileBytes } from '@contextlora/model';

const { path, tokenizer, base, backend } = JSON.parse(process.argv[2] ?? '{}') as {
  path: string;
  tokenizer?: string;
  base?: BaseFormat;
  backend: 'wasm' | 'onnx';
};
const kernels = await openKernels({ prefer: backend });
const before = process.memoryUsage().rss;
let bytesRead = 0;
const start = performance.now();
const model = await loadModel(path, {
  kernels,
  ...(tokenizer === undefined ? {} : { tokenizerDirectory: tokenizer }),
  ...(base === undefined ? {} : { base }),
  openBytes: async (file) => {
    const source = await openFileBytes(file);
    return {
      ...source,
      read: (position, target) => {
        bytesRead += target.length;
        return source.read(position, target);
      },
    };
  },
});
const seconds = (performance.now() - start) / 1000;
// maxRSS covers the whole life of the process, in KiB.
const peakBytes = process.resourceUsage().maxRSS * 1024 - before;
console.log(
  JSON.stringify({
    backend: kernels.backend,
    seconds,
    peakBytes,
    bytesRead,
    parameters: model.parameterCount,
  }),
);
