/**
 * `npm run bench:scheduler`: the comparison, the gaps, the growth of planning time and the charts.
 *
 * With `--json FILE` each comparison and each planning time is kept as soon as it is there; a further run with the same file goes on after the
 * last one in it.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { drawCharts } from './charts.js';
import { compareAll, type Comparison, describeComparison, describeRatios } from './compare.js';
import {
  compareWithBruteForce,
  type LargeGap,
  largeGaps,
  describeExactness,
  describeLargeGaps,
} from './gaps.js';
import { type GrowthPoint, measureGrowth, plotGrowth, describeGrowth } from './growth.js';
import { assumptions } from './jetson-cluster.js';
import { trainingSettings } from './twelve-tasks.js';

const parts = ['compare', 'gaps', 'growth', 'charts'] as const;
const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    /** Where drawings go. */
    out: { type: 'string', default: 'scheduler-charts' },
    only: { type: 'string', multiple: true },
    /** Random problems that brute force checks, and their largest size; 6 × 10 takes some seconds a case. */
    cases: { type: 'string', default: '1000' },
    devices: { type: 'string', default: '4' },
    layers: { type: 'string', default: '7' },
    seed: { type: 'string', default: '1' },
  },
});
const wrong = (values.only ?? []).find((part) => !(parts as readonly string[]).includes(part));
if (wrong !== undefined) {
  console.error(`bench:scheduler: --only ${wrong} is not one of ${parts.join(', ')}`);
  process.exit(2);
}
const wants = (part: (typeof parts)[number]) => (values.only ?? parts).includes(part);
const clock = () => performance.now() / 1000;
const results: Record<string, unknown> = { assumptions, trainingSettings, ...(await earlierResults()) };

if (wants('compare')) {
  console.log('# Twelve tasks on five boards: simulated from published figures and these assumptions');
  console.log(JSON.stringify(assumptions), JSON.stringify(trainingSettings), '\n');
  const comparisons: Comparison[] = [];
  for (const comparison of compareAll((results['comparisons'] ?? []) as Comparison[])) {
    comparisons.push(comparison);
    console.log(`${describeComparison(comparison)}\n`);
    results['comparisons'] = comparisons;
    await keep();
  }
  console.log(`${describeRatios(comparisons)}\n`);
}
if (wants('gaps')) {
  console.log('# How good the plans are');
  const exactness = compareWithBruteForce(Number(values.cases), Number(values.seed), {
    devices: Number(values.devices),
    layers: Number(values.layers),
  });
  console.log(`${describeExactness(exactness)}\n`);
  const gaps: LargeGap[] = [...largeGaps(clock)];
  console.log(`${describeLargeGaps(gaps)}\n`);
  results['exactness'] = exactness;
  results['largeGaps'] = gaps;
}
if (wants('growth')) {
  console.log('# Planning and simulation times on this machine');
  const points: GrowthPoint[] = [];
  for (const point of measureGrowth(clock, (results['growth'] ?? []) as GrowthPoint[])) {
    points.push(point);
    console.log(JSON.stringify(point));
    results['growth'] = points;
    await keep();
  }
  console.log(`${describeGrowth(points)}\n`);
  await write('growth.svg', await plotGrowth(points));
}
if (wants('charts')) {
  console.log('# One step of two sibling tasks on three boards (simulated)');
  for (const { name, svg, text, stepSeconds } of drawCharts()) {
    console.log(
      `${text}\n${name}: ${(1000 * stepSeconds).toFixed(0)} ms per step of both tasks, once the pipeline is full\n`,
    );
    await write(`${name.toLowerCase()}.svg`, svg);
    results[`chart ${name}`] = { stepSeconds };
  }
}
await keep();

/** What a run with the same file found; nothing where the file is new. Exits with 2 where it is of other assumptions. */
async function earlierResults(): Promise<Record<string, unknown>> {
  if (values.json === undefined) return {};
  try {
    const found = JSON.parse(await readFile(values.json, 'utf8')) as Record<string, unknown>;
    const ours = JSON.stringify([assumptions, trainingSettings]);
    if (JSON.stringify([found['assumptions'], found['trainingSettings']]) === ours) return found;
    console.error(`bench:scheduler: ${values.json} is of other assumptions; name another file`);
    process.exit(2);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
}

async function keep(): Promise<void> {
  if (values.json !== undefined) await writeWhole(values.json, `${JSON.stringify(results, null, 2)}\n`);
}

async function write(name: string, content: string): Promise<void> {
  await mkdir(values.out, { recursive: true });
  await writeWhole(join(values.out, name), content);
  console.log(`wrote ${join(values.out, name)}`);
}

async function writeWhole(path: string, content: string): Promise<void> {
  await writeFile(`${path}.part`, content, { flush: true });
  await rename(`${path}.part`, path);
}
