/**
 * Writes the pre-training material of the base model into a folder: pictures (raw RGB), their texts and patch labels, and the
 * words of the look-ups. Usage: generate.ts FOLDER [SCENES] [SEED]
 */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import {
  airWords,
  biggestOf,
  createSceneRenderer,
  drawPretrainingScene,
  drawSituation,
  grounds,
  groundWords,
  iovTasks,
  labelsOf,
  nouns,
  pretrainingText,
  readingWords,
  type Scene,
  weathers,
} from '@contextlora/benchmarks';
import { keyedRandom } from '@contextlora/lora';

const [folder = 'tools/base-model/build', sceneCount = '36000', seed = '1'] = process.argv.slice(2);
const nounList = Object.values(nouns);
/** Texts per scene, so that an epoch over the pictures is not an epoch over the words. */
const textsPerScene = 4;

const fileOf = (name: string) => join(folder, name);

async function writeScenes(name: string, scenes: Iterable<{ scene: Scene; row: object }>, total: number) {
  const renderer = createSceneRenderer(['noto', 'fluent']);
  const pixels = createWriteStream(fileOf(`${name}.bin.partial`));
  const rows = createWriteStream(fileOf(`${name}.jsonl.partial`));
  let done = 0;
  let group: { scene: Scene; row: object }[] = [];
  const flush = async () => {
    for (const picture of await Promise.all(group.map(({ scene }) => renderer.render(scene))))
      if (!pixels.write(picture)) await once(pixels, 'drain');
    for (const { row } of group) rows.write(`${JSON.stringify(row)}\n`);
    done += group.length;
    group = [];
    if (done % 6400 === 0) console.log(`${name}: ${done} of ${total}`);
  };
  for (const item of scenes) {
    group.push(item);
    if (group.length === 64) await flush();
  }
  await flush();
  await Promise.all([pixels, rows].map((stream) => new Promise((done) => stream.end(done))));
  await rename(fileOf(`${name}.bin.partial`), fileOf(`${name}.bin`));
  await rename(fileOf(`${name}.jsonl.partial`), fileOf(`${name}.jsonl`));
}

/** For each of the 8 × 8 patches the thing that covers its centre (0: none), nearest last. */
function patchLabels({ objects }: Scene): number[] {
  const labels = new Array<number>(64).fill(0);
  for (const o of [...objects].sort((p, q) => p.y + p.sizePixels / 2 - q.y - q.sizePixels / 2)) {
    const noun = 1 + nounList.indexOf(nouns[o.icon] ?? '');
    let hit = false;
    for (let patch = 0; patch < 64; patch++) {
      const [cx, cy] = [(patch % 8) * 8 + 4, Math.floor(patch / 8) * 8 + 4];
      if (Math.abs(cx - o.x) > o.sizePixels / 2 || Math.abs(cy - o.y) > o.sizePixels / 2) continue;
      labels[patch] = noun;
      hit = true;
    }
    if (!hit)
      labels[Math.min(7, Math.floor(o.y / 8)) * 8 + Math.max(0, Math.min(7, Math.floor(o.x / 8)))] = noun;
  }
  return labels;
}

function* pretraining(split: string, count: number) {
  for (let i = 0; i < count; i++) {
    const random = keyedRandom(seed, 'pretraining', split, i);
    const scene = drawPretrainingScene(random, `${seed}/pretraining/${split}/${i}`);
    yield {
      scene,
      row: {
        texts: Array.from({ length: textsPerScene }, () => pretrainingText(scene, random)),
        patches: patchLabels(scene),
        weather: weathers.indexOf(scene.weather),
        ground: grounds.indexOf(scene.ground),
        biggest: biggestOf(scene),
        air: airWords[scene.weather],
        look: groundWords[scene.ground],
      },
    };
  }
}

/** Task scenes for looking at what a fine-tuned base reaches; never used to train the base. */
function* taskScenes(split: 'train' | 'test' | 'unseen', count: number) {
  for (const task of iovTasks)
    for (let i = 0; i < count; i++) {
      const random = keyedRandom(seed, 'probe', task, split, i);
      const labels = labelsOf[task];
      const drawn = drawSituation(task, labels[i % labels.length] ?? '', {
        random,
        style: split === 'unseen' ? 'fluent' : 'noto',
        appearance: `${seed}/probe/${task}/${split}/${i}`,
      });
      yield { scene: drawn.scene, row: { task, answers: drawn.answers, limit: drawn.situation.limit } };
    }
}

await mkdir(folder, { recursive: true });
await writeFile(
  fileOf('words.json'),
  JSON.stringify({
    reading: readingWords,
    nouns: nounList,
    air: Object.values(airWords),
    look: Object.values(groundWords),
    labels: labelsOf,
  }),
);
await writeScenes('validation', pretraining('validation', 1000), 1000);
await writeScenes('train', pretraining('train', Number(sceneCount)), Number(sceneCount));
for (const [split, count] of [
  ['train', 1000],
  ['test', 300],
  ['unseen', 200],
] as const)
  await writeScenes(`task-${split}`, taskScenes(split, count), 4 * count);
