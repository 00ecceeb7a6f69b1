/** Pre-training texts: captions of a scene and questions about it in random order. */
import type { KeyedRandom } from '@contextlora/lora';

import type { Scene } from '../scenes/scene.js';
import { captionsOf, questionsOf } from './captions.js';

/** One text about one scene. */
export function pretrainingText(scene: Scene, random: KeyedRandom): string {
  const [things, ...rest] = captionsOf(scene);
  const sentences = [
    ...(random.next() < 0.6 && things ? [things] : []),
    ...rest.filter(() => random.next() < 0.5),
    ...random
      .shuffle(questionsOf(scene, random))
      .slice(0, 3)
      .map(({ question, answer }) => `${question} ${answer}`),
  ];
  return `${random.shuffle(sentences).join(' . ')} .`;
}
