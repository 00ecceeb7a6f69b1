/**
 * Texts about a scene for pre-training the base model: plain captions and short questions about things, places, light and ground.
 *
 * None of them is a task of the benchmark: no text contains a task's question, and no task's label ever describes a picture (tested).
 * Every statement ends with ` .`, every question with ` ?`.
 */
import type { KeyedRandom } from '@contextlora/lora';

import { nouns } from '../scenes/icons.js';
import type { Ground, Scene, SceneObject, Weather } from '../scenes/scene.js';

const viewSentence: Readonly<Record<Weather, string>> = {
  clear: 'the light is bright',
  night: 'the light is low',
  rain: 'drops are falling',
  snow: 'flakes are falling',
  fog: 'the view is hazy',
};
const groundSentence: Readonly<Record<Ground, string>> = {
  plain: 'the ground is plain',
  shiny: 'the ground is shiny',
  striped: 'a striped board is on the ground',
  logs: 'logs are on the ground',
};
/** One word each, for questions. */
export const airWords: Readonly<Record<Weather, string>> = {
  clear: 'bright',
  night: 'low',
  rain: 'drops',
  snow: 'flakes',
  fog: 'hazy',
};
export const groundWords: Readonly<Record<Ground, string>> = {
  plain: 'plain',
  shiny: 'shiny',
  striped: 'striped',
  logs: 'logs',
};
const numbers = ['zero', 'one', 'two', 'three'];

const nounOf = ({ icon }: SceneObject) => nouns[icon] ?? icon;
const sizeWord = ({ sizePixels }: SceneObject) => (sizePixels > 18 ? 'big' : 'small');
const sideWord = ({ x }: SceneObject) => (x < 24 ? 'left' : x > 40 ? 'right' : 'middle');
const depthWord = ({ y }: SceneObject) => (y > 40 ? 'front' : 'back');

export interface Question {
  readonly question: string;
  readonly answer: string;
}

/** The largest thing in a scene. */
export const biggestOf = (scene: Scene): string =>
  nounOf(scene.objects.reduce((biggest, thing) => (thing.sizePixels > biggest.sizePixels ? thing : biggest)));

/** All questions about a scene; a random thing is asked about, and a random absent one. */
export function questionsOf(scene: Scene, random: KeyedRandom): Question[] {
  const thing = random.pick(scene.objects);
  const absent = random
    .shuffle(Object.values(nouns))
    .find((noun) => scene.objects.every((o) => nounOf(o) !== noun));
  return [
    { question: 'what is biggest ?', answer: biggestOf(scene) },
    { question: 'what is in the air ?', answer: airWords[scene.weather] },
    { question: 'look of the ground ?', answer: groundWords[scene.ground] },
    { question: 'how many things ?', answer: numbers[scene.objects.length] ?? 'zero' },
    { question: `side of the ${nounOf(thing)} ?`, answer: sideWord(thing) },
    { question: `depth of the ${nounOf(thing)} ?`, answer: depthWord(thing) },
    { question: `size of the ${nounOf(thing)} ?`, answer: sizeWord(thing) },
    { question: `is there a ${nounOf(thing)} ?`, answer: 'yes' },
    { question: `is there a ${absent ?? 'unicorn'} ?`, answer: 'no' },
  ];
}

/** Sentences that describe a scene, left to right. */
export function captionsOf(scene: Scene): string[] {
  const things = [...scene.objects]
    .sort((p, q) => p.x - q.x)
    .map((o) => `a ${sizeWord(o)} ${nounOf(o)} on the ${sideWord(o)} ${depthWord(o)}`);
  return [things.join(' . '), viewSentence[scene.weather], groundSentence[scene.ground]];
}

/** Every word of captions, questions and answers about pictures. */
export function pictureWords(): Set<string> {
  const texts = [
    ...Object.values(viewSentence),
    ...Object.values(groundSentence),
    ...Object.values(airWords),
    ...Object.values(groundWords),
    ...Object.values(nouns),
    ...numbers,
    'a big small on the left middle right front back . ? yes no',
    'what is biggest in the air look of the ground how many things side of the depth size is there a',
  ];
  return new Set(texts.flatMap((text) => text.split(' ')));
}
