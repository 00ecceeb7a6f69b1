/**
 * Measures how much memory and time pictures take on their way to the tower: the largest growth of the process while the features of a
 * batch are computed, and seconds per picture. Pictures are synthetic: noise over a gradient, which compresses badly, or flat colour.
 * Usage: npm run bench:pictures -- [--json FILE]
 */
import { execFileSync } from 'node:child_process';
import { copyFile, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import sharp from 'sharp';

import { writeWhole } from '@contextlora/lora/files';

const { values } = parseArgs({ options: { json: { type: 'string' } } });
const directory = await mkdtemp(join(tmpdir(), 'pictures-'));

interface Case {
  readonly name: string;
  readonly count: number;
  readonly size: readonly [width: number, height: number];
  readonly flat?: boolean;
  /** 600 MB if absent. */
  readonly limitBytes?: number;
  readonly format: 'jpeg' | 'progressive' | 'cmyk' | 'png' | 'interlaced' | 'webp';
}
const cases: readonly Case[] = [
  { name: 'JPEG, 12 MP', count: 64, size: [4000, 3000], format: 'jpeg' },
  { name: 'JPEG, 12 MP, progressive', count: 64, size: [4000, 3000], format: 'progressive' },
  { name: 'JPEG, 12 MP, CMYK', count: 16, size: [4000, 3000], format: 'cmyk' },
  { name: 'WebP, 12 MP', count: 16, size: [4000, 3000], format: 'webp' },
  { name: 'PNG, 64 MP, flat', count: 16, size: [8000, 8000], format: 'png', flat: true },
  { name: 'PNG, 64 MP', count: 4, size: [8000, 8000], format: 'png' },
  { name: 'PNG, 64 MP, interlaced, flat', count: 4, size: [8000, 8000], format: 'interlaced', flat: true },
  // The decoder keeps all coefficients of a progressive picture, two bytes each.
  {
    name: 'JPEG, 64 MP, progressive',
    count: 4,
    size: [8000, 8000],
    format: 'progressive',
    limitBytes: 800e6,
  },
];

async function writePicture(path: string, { size: [width, height], flat, format }: Case): Promise<void> {
  const create = { width, height, channels: 3, background: '#7090b0' } as const;
  const image = sharp({
    create: flat ? create : { ...create, noise: { type: 'gaussian', mean: 128, sigma: 20 } },
    limitInputPixels: false,
  });
  const encoded = {
    jpeg: () => image.jpeg({ quality: 90 }),
    progressive: () => image.jpeg({ quality: 90, progressive: true }),
    cmyk: () => image.toColourspace('cmyk').jpeg({ quality: 90 }),
    png: () => image.png({ compressionLevel: 1 }),
    interlaced: () => image.png({ compressionLevel: 1, progressive: true }),
    webp: () => image.webp({ quality: 80, effort: 0 }),
  }[format]();
  await encoded.toFile(path);
}

interface Result {
  readonly name: string;
  readonly count: number;
  readonly fileBytes: number;
  readonly baseBytes: number;
  readonly peakBytes: number;
  readonly secondsPerPicture: number;
}
const results: Result[] = [];
try {
  console.log(
    `${'pictures'.padEnd(36)}${'file'.padStart(10)}${'above base'.padStart(14)}${'seconds each'.padStart(14)}`,
  );
  for (const one of cases) {
    const first = join(directory, `0.${one.format}`);
    await writePicture(first, one);
    const paths = Array.from({ length: one.count }, (_, i) => join(directory, `${i}.${one.format}`));
    for (const path of paths.slice(1)) await copyFile(first, path);
    const args = ['--conditions', '@contextlora/source', '--import', 'tsx'];
    const printed = execFileSync(
      process.execPath,
      [...args, join(import.meta.dirname, 'pictures-process.ts'), JSON.stringify(paths)],
      { encoding: 'utf8' },
    );
    const { seconds, baseBytes, peakBytes } = JSON.parse(printed) as {
      seconds: number;
      baseBytes: number;
      peakBytes: number;
    };
    const { size: fileBytes } = await stat(first);
    for (const path of paths) await rm(path);
    results.push({
      name: one.name,
      count: one.count,
      fileBytes,
      baseBytes,
      peakBytes,
      secondsPerPicture: seconds / one.count,
    });
    console.log(
      `${`${one.count} × ${one.name}`.padEnd(36)}${`${(fileBytes / 1e6).toFixed(1)} MB`.padStart(10)}${`${Math.round(peakBytes / 1e6)} MB`.padStart(14)}${(seconds / one.count).toFixed(2).padStart(14)}`,
    );
  }
} finally {
  await rm(directory, { recursive: true, force: true });
}
if (values.json) await writeWhole(values.json, `${JSON.stringify(results, null, 2)}\n`);
const exceeding = results.filter(({ peakBytes }, i) => peakBytes > (cases[i]?.limitBytes ?? 600e6));
for (const { name, peakBytes } of exceeding)
  console.error(
    `${name} took ${Math.round(peakBytes / 1e6)} MB above the base, which is more than its limit`,
  );
if (exceeding.length > 0) process.exitCode = 1;
