/** Draws scenes for pre-training the base: random things anywhere, random weather and ground, no traffic situations. */
import type { KeyedRandom } from '@contextlora/lora';

import { nouns } from '../scenes/icons.js';
import { grounds, type Scene, type SceneObject, weathers } from '../scenes/scene.js';

const allIcons = Object.keys(nouns);

/** One to three things of different kinds, large or small, sometimes overlapping. */
export function drawPretrainingScene(random: KeyedRandom, appearance: string): Scene {
  const icons = random.shuffle(allIcons).slice(0, 1 + random.integer(3));
  const objects: SceneObject[] = [];
  for (const icon of icons) {
    const sizePixels = random.next() < 0.5 ? random.between(21, 30) : random.between(10, 16);
    let place = { x: random.between(6, 58), y: random.between(26, 56) };
    for (let attempt = 0; attempt < 8; attempt++) {
      const apart = (other: SceneObject) =>
        Math.hypot(other.x - place.x, other.y - place.y) > (other.sizePixels + sizePixels) * 0.33;
      if (objects.every(apart)) break;
      place = { x: random.between(6, 58), y: random.between(26, 56) };
    }
    objects.push({ icon, sizePixels, ...place });
  }
  return { weather: random.pick(weathers), ground: random.pick(grounds), objects, style: 'noto', appearance };
}
