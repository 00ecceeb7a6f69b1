/**
 * Draws a scene: sky, ground, road, ground look, objects far to near, then weather over all, then sensor noise.
 *
 * Icon art: Noto Emoji (Apache-2.0) and Fluent Emoji Flat (MIT); see assets/NOTICE.
 */
import { createRequire } from 'node:module';

import { keyedRandom, type KeyedRandom } from '@contextlora/lora';
import { renderAsync } from '@resvg/resvg-js';

import { BenchmarksError } from '../benchmarks-error.js';
import {
  type IconStyle,
  iconStyles,
  type Scene,
  type SceneObject,
  sceneSizePixels,
  type Weather,
} from './scene.js';

/** RGB, row-major, `64 · 64 · 3` bytes. */
export type ScenePixels = Uint8Array;

export interface SceneRenderer {
  render(scene: Scene): Promise<ScenePixels>;
}

/** Loads the icon sets of the given styles once; renders as many scenes at a time as the thread pool takes. @throws BenchmarksError when a style is unknown. */
export function createSceneRenderer(styles: readonly IconStyle[]): SceneRenderer {
  const unknown = styles.filter((style) => !iconStyles.includes(style));
  if (unknown.length > 0 || styles.length === 0)
    throw new BenchmarksError(
      'BENCHMARKS_STYLE_UNKNOWN',
      'createSceneRenderer',
      `${unknown.length > 0 ? `style ${unknown.map((style) => JSON.stringify(style)).join(', ')} is unknown` : 'no style is given'}; the styles are ${iconStyles.join(', ')}`,
    );
  const icons = new Map(styles.map((style) => [style, loadIcons(style)]));
  return {
    async render(scene) {
      const set = icons.get(scene.style);
      if (!set)
        throw new BenchmarksError(
          'BENCHMARKS_STYLE_UNKNOWN',
          'createSceneRenderer',
          `style "${scene.style}" was not loaded; this renderer was made for ${styles.join(', ')}`,
        );
      const random = keyedRandom(scene.appearance, 'appearance');
      const image = await renderAsync(svgOf(scene, set, random), { font: { loadSystemFonts: false } });
      // `pixels` copies the whole picture on every access.
      return withNoise(image.pixels, random);
    },
  };
}

/** A file of `assets/`, as assets/extract-icons.ts writes it. */
interface IconSet {
  /** Width and height that the bodies are drawn in. */
  readonly size: number;
  /** Icon name → SVG elements. */
  readonly bodies: Readonly<Record<string, string>>;
}

function loadIcons(style: IconStyle): IconSet {
  const require = createRequire(import.meta.url);
  return require(`@contextlora/benchmarks/assets/${style}.json`) as IconSet;
}

const size = sceneSizePixels;

function svgOf(scene: Scene, set: IconSet, random: KeyedRandom): string {
  const { weather, ground } = scene;
  const horizon = random.between(17, 25);
  const parts: string[] = [];

  const sky = skyColour(weather, random);
  parts.push(
    `<defs><linearGradient id="sky" x1="0" y1="0" x2="0" y2="1"><stop offset="0" stop-color="${rgb(sky, 0.8)}"/>` +
      `<stop offset="1" stop-color="${rgb(sky, 1.15)}"/></linearGradient></defs>`,
    `<rect width="${size}" height="${size}" fill="url(#sky)"/>`,
  );
  const fields = [
    [90, 150, 70],
    [150, 140, 90],
    [120, 160, 110],
    [170, 150, 120],
  ];
  const snowyField = weather === 'snow' && random.next() < 0.5;
  const field = snowyField ? [225, 230, 235] : (fields[random.integer(fields.length)] ?? []);
  parts.push(
    `<rect y="${horizon}" width="${size}" height="${size}" fill="${rgb(field, weather === 'night' ? 0.45 : 1)}"/>`,
  );

  const asphalt = random.between(70, 115) * (weather === 'night' ? 0.6 : 1);
  const bend = random.between(-5, 5);
  parts.push(
    `<polygon points="${27 + bend},${horizon} ${37 + bend},${horizon} 62,64 2,64" fill="${rgb([asphalt, asphalt, asphalt + 5])}"/>`,
  );
  for (let dash = 0; dash < 4; dash++) {
    const depth = (dash + 0.3) / 4;
    const y1 = horizon + (size - horizon) * depth ** 2;
    const y2 = horizon + (size - horizon) * ((dash + 0.8) / 4) ** 2;
    const x = 32 + bend * (1 - depth);
    parts.push(
      `<line x1="${x}" y1="${y1}" x2="${x}" y2="${y2}" stroke="#ddd" stroke-width="${0.6 + depth * 1.6}"/>`,
    );
  }
  if (random.next() < 0.4 && weather === 'clear')
    parts.push(
      iconAt(set, {
        icon: 'sun',
        x: random.between(8, 56),
        y: random.between(6, 12),
        sizePixels: random.between(8, 12),
      }),
    );
  if (random.next() < 0.4 && weather !== 'night')
    parts.push(
      iconAt(set, {
        icon: 'cloud',
        x: random.between(6, 58),
        y: random.between(5, 14),
        sizePixels: random.between(9, 16),
      }),
    );

  parts.push(...groundLook(ground, { set, random, horizon }));
  const farToNear = [...scene.objects].sort((p, q) => p.y + p.sizePixels / 2 - q.y - q.sizePixels / 2);
  for (const object of farToNear) parts.push(iconAt(set, object, random.between(-6, 6)));
  parts.push(...weatherVeil(weather, random));
  parts.push(`<rect width="${size}" height="${size}" fill="#000" opacity="${random.between(0, 0.28)}"/>`);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${size}" height="${size}" viewBox="0 0 ${size} ${size}">${parts.join('')}</svg>`;
}

function skyColour(weather: Weather, random: KeyedRandom): number[] {
  switch (weather) {
    case 'clear':
      return [random.between(90, 150), random.between(160, 210), 255];
    case 'night':
      return [random.between(10, 35), random.between(15, 40), random.between(50, 90)];
    case 'rain':
      return [random.between(90, 145), random.between(100, 160), random.between(120, 190)];
    case 'snow':
      return [random.between(130, 195), random.between(150, 205), random.between(165, 225)];
    case 'fog':
      return [random.between(150, 200), random.between(160, 205), random.between(165, 215)];
    default:
      return weather satisfies never;
  }
}

function groundLook(
  ground: Scene['ground'],
  { set, random, horizon }: { set: IconSet; random: KeyedRandom; horizon: number },
): string[] {
  const count = (low: number, high: number) => low + random.integer(high - low + 1);
  const repeat = (times: number, make: () => string) => Array.from({ length: times }, make);
  switch (ground) {
    case 'plain':
      return [];
    case 'shiny':
      return repeat(count(4, 7), () => {
        const y = random.between(horizon + 8, 61);
        const reach = ((y - horizon) / (size - horizon)) * 24;
        const colour = rgb([random.between(175, 215), random.between(205, 235), random.between(235, 255)]);
        return `<ellipse cx="${32 + random.between(-reach, reach)}" cy="${y}" rx="${random.between(3, 8)}" ry="${random.between(1, 2.4)}" fill="${colour}" opacity="${random.between(0.55, 0.9)}"/>`;
      });
    case 'striped':
      return repeat(count(1, 2), () => {
        const y = random.between(horizon + 12, 58);
        const x = 32 + random.between(-1, 1) * (y - horizon) * 0.5;
        return iconAt(set, { icon: 'construction', x, y, sizePixels: random.between(10, 15) });
      });
    case 'logs':
      return repeat(count(2, 3), () => {
        const y = random.between(horizon + 10, 56);
        const x = 32 + random.between(-1, 1) * (y - horizon) * 0.45;
        const icon = random.next() < 0.5 ? 'wood' : 'rock';
        return iconAt(set, { icon, x, y, sizePixels: random.between(11, 16) });
      });
    default:
      return ground satisfies never;
  }
}

function weatherVeil(weather: Weather, random: KeyedRandom): string[] {
  const whole = (colour: string, opacity: number) =>
    `<rect width="${size}" height="${size}" fill="${colour}" opacity="${opacity}"/>`;
  switch (weather) {
    case 'clear':
      return [];
    case 'night':
      return [whole('#060a28', random.between(0.35, 0.55))];
    case 'fog':
      return [whole('#d8dde0', random.between(0.38, 0.62))];
    case 'rain': {
      const slant = random.between(-2, 2);
      return Array.from({ length: 18 + random.integer(27) }, () => {
        const [x, y, length] = [random.between(0, size), random.between(0, 62), random.between(4, 7)];
        return `<line x1="${x}" y1="${y}" x2="${x + slant}" y2="${y + length}" stroke="#cfe4ff" stroke-width="0.7" opacity="0.75"/>`;
      });
    }
    case 'snow':
      return Array.from(
        { length: 22 + random.integer(34) },
        () =>
          `<circle cx="${random.between(0, size)}" cy="${random.between(0, size)}" r="${random.between(0.6, 1.2)}" fill="#fff" opacity="0.95"/>`,
      );
    default:
      return weather satisfies never;
  }
}

function iconAt(set: IconSet, { icon, x, y, sizePixels }: SceneObject, degrees = 0): string {
  const body = set.bodies[icon];
  if (body === undefined) throw new Error(`internal: the icon set has no "${icon}"`);
  const scale = sizePixels / set.size;
  const half = sizePixels / 2;
  return `<g transform="translate(${x - half} ${y - half}) rotate(${degrees} ${half} ${half}) scale(${scale})">${body}</g>`;
}

const rgb = (colour: readonly number[], factor = 1) =>
  `rgb(${colour.map((value) => Math.max(0, Math.min(255, Math.round(value * factor)))).join(',')})`;

/** Drops alpha and adds a little noise to every channel, as a cheap camera does. */
function withNoise(rgba: Uint8Array, random: KeyedRandom): ScenePixels {
  const pixels = new Uint8Array((rgba.length / 4) * 3);
  const strength = 2 + 8 * random.next();
  for (let i = 0; i < rgba.length / 4; i++)
    for (let channel = 0; channel < 3; channel++) {
      const noise = (random.next() + random.next() - 1) * strength;
      const value = (rgba[4 * i + channel] ?? 0) + noise;
      pixels[3 * i + channel] = Math.max(0, Math.min(255, Math.round(value)));
    }
  return pixels;
}
