import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

import { createSceneRenderer, drawPretrainingScene, nouns } from '@contextlora/benchmarks';
import { keyedRandom } from '@contextlora/lora';
import { describe, expect, test } from '@jest/globals';

const require = createRequire(import.meta.url);
const read = async <T>(file: string) => JSON.parse(await readFile(require.resolve(file), 'utf8')) as T;

interface ShippedSet {
  readonly source: string;
  readonly size: number;
  readonly bodies: Readonly<Record<string, string>>;
}
interface IconifySet {
  readonly width: number;
  readonly icons: Readonly<Record<string, { readonly body: string; readonly width?: number }>>;
}

describe.each([
  ['noto', '@iconify-json/noto'],
  ['fluent', '@iconify-json/fluent-emoji-flat'],
] as const)('the %s icons', (style, source) => {
  test('are those of the set that they name, body for body', async () => {
    const shipped = await read<ShippedSet>(`@contextlora/benchmarks/assets/${style}.json`);
    const { icons, width } = await read<IconifySet>(`${source}/icons.json`);
    const { version } = await read<{ version: string }>(`${source}/package.json`);
    expect(shipped.source).toBe(`${source} ${version}`);
    expect(Object.keys(shipped.bodies)).toEqual(expect.arrayContaining(Object.keys(nouns)));
    for (const [icon, body] of Object.entries(shipped.bodies)) {
      expect({ icon, body }).toEqual({ icon, body: icons[icon]?.body });
      expect(icons[icon]?.width ?? width).toBe(shipped.size);
    }
  });

  test('are enough for every scene', async () => {
    const renderer = createSceneRenderer([style]);
    const scenes = Array.from({ length: 100 }, (_, index) =>
      drawPretrainingScene(keyedRandom(7, 'icons', index), String(index)),
    );
    // Every ground, and with it the scenery's icons, comes up in a hundred scenes.
    const pictures = await Promise.all(scenes.map((scene) => renderer.render({ ...scene, style })));
    expect(new Set(pictures.map((pixels) => Buffer.from(pixels).toString('base64'))).size).toBe(100);
  });
});
