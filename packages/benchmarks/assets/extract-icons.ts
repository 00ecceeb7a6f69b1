/**
 * Writes the bodies of the icons that scenes are drawn from to noto.json and fluent.json; run it by hand after a change to the
 * list or to a set (a test compares them).
 * Usage: node --import tsx packages/benchmarks/assets/extract-icons.ts
 */
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { drawnIcons } from '../src/scenes/icons.js';

/** The parts used here of an Iconify package's `icons.json`, `info.json` and `package.json`. */
interface IconifySet {
  readonly icons: Readonly<
    Record<string, { readonly body: string; readonly width?: number; readonly height?: number }>
  >;
  readonly width: number;
  readonly height: number;
}
interface IconifyInfo {
  readonly name: string;
  readonly author: { readonly name: string; readonly url: string };
  readonly license: { readonly spdx: string };
}

const require = createRequire(import.meta.url);
const packages = {
  noto: require.resolve('@iconify-json/noto/package.json'),
  fluent: require.resolve('@iconify-json/fluent-emoji-flat/package.json'),
};

for (const [style, manifest] of Object.entries(packages)) {
  const read = async <T>(file: string) =>
    JSON.parse(await readFile(join(dirname(manifest), file), 'utf8')) as T;
  const set = await read<IconifySet>('icons.json');
  const { name, author, license } = await read<IconifyInfo>('info.json');
  const source = await read<{ name: string; version: string }>('package.json');
  const bodies = drawnIcons.map((icon) => {
    const art = set.icons[icon];
    if (!art) throw new Error(`${source.name} has no icon "${icon}"`);
    if ((art.width ?? set.width) !== set.width || (art.height ?? set.height) !== set.width)
      throw new Error(`${source.name}: "${icon}" is not ${set.width} × ${set.width}`);
    return [icon, art.body];
  });
  const shipped = {
    name,
    author: author.name,
    url: author.url,
    license: license.spdx,
    source: `${source.name} ${source.version}`,
    size: set.width,
    bodies: Object.fromEntries(bodies) as unknown,
  };
  await writeFile(new URL(`${style}.json`, import.meta.url), `${JSON.stringify(shipped, null, 2)}\n`);
}
