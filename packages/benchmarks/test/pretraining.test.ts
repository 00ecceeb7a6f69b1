import {
  captionsOf,
  drawPretrainingScene,
  labelsOf,
  pictureWords,
  pretrainingText,
  questionsOf,
  readingWords,
} from '@contextlora/benchmarks';
import { keyedRandom } from '@contextlora/lora';
import { describe, expect, test } from '@jest/globals';

describe('the texts that the base model is pre-trained on', () => {
  const labels = new Set(Object.values(labelsOf).flat());
  const taskQuestions = [/traffic ahead/, /weather now/, /road surface/, /best strategy/];
  const scenes = Array.from({ length: 400 }, (_, i) => {
    const random = keyedRandom(5, 'corpus', i);
    return { scene: drawPretrainingScene(random, String(i)), random };
  });

  test('never contain a question of the tasks', () => {
    const texts = scenes.map(({ scene, random }) => pretrainingText(scene, random)).join('\n');
    for (const question of taskQuestions) expect(texts).not.toMatch(question);
  });

  test('never describe a picture with a label of the tasks', () => {
    const known = pictureWords();
    expect([...known].filter((word) => labels.has(word))).toEqual([]);
    const texts = scenes.flatMap(({ scene, random }) => [
      ...captionsOf(scene),
      ...questionsOf(scene, random).map(({ answer }) => answer),
      pretrainingText(scene, random),
    ]);
    const used = new Set(texts.join(' ').split(' '));
    expect(used.size).toBeGreaterThan(50);
    expect([...used].filter((word) => labels.has(word) || !known.has(word))).toEqual([]);
  });

  test('have the labels only among the words of the look-ups, each once', () => {
    for (const label of labels) expect(readingWords.filter((word) => word === label)).toHaveLength(1);
    expect(readingWords.length).toBeGreaterThan(5 * labels.size);
  });
});
