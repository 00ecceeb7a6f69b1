/** Computes the features of pictures in a separate process and prints the cost: pictures-process.ts PATHS as JSON. */
import { join } from 'node:path';

import { openKernels } from '@contextlora/kernels';
import { loadModel, openImageFeatures } from '@contextlora/model';

const paths = JSON.parse(process.argv[2] ?? '[]') as string[];
const fixtures = join(import.meta.dirname, '../test/fixtures');
const kernels = await openKernels();
const model = await loadModel(join(fixtures, 'smolvlm-tiny'), { kernels });
// The base holds what is loaded with the first picture.
await openImageFeatures(model).get([join(fixtures, 'images/photo.jpg'), join(fixtures, 'images/plain.png')]);
const before = process.memoryUsage().rss;
const start = performance.now();
await openImageFeatures(model).get(paths);
const seconds = (performance.now() - start) / 1000;
// maxRSS covers the whole life of the process, in KiB.
console.log(
  JSON.stringify({ seconds, baseBytes: before, peakBytes: process.resourceUsage().maxRSS * 1024 - before }),
);
