import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { sealJson } from '@contextlora/lora/files';
import {
  type Checkpoint,
  type CheckpointStore,
  constantRate,
  planPhases,
  train,
  type TrainOptions,
} from '@contextlora/trainer';
import { fileCheckpoints } from '@contextlora/trainer/files';

import { type FakeExample, FakeModel } from './fake-model.js';
import { sceneGraph } from './scene-tasks.js';

const tasks = ['vehicle', 'weather', 'road', 'strategy'];
const phases = planPhases(sceneGraph());
const options: TrainOptions<FakeExample> = {
  examplesFor: (task) => [1, 2, 3].map((n) => ({ prompt: `${task}${n}`, answer: 'x'.repeat(n) })),
  steps: 4,
  seed: 7,
  batchSize: 2,
  learningRate: constantRate(0.1),
};

/** Runs to the end, or until the caller stops it after some steps. */
async function run(checkpoints: CheckpointStore, stopAfterSteps = Infinity, model = new FakeModel(tasks)) {
  let steps = 0;
  for await (const event of train(model, phases, { ...options, checkpoints }))
    if (event.type === 'step' && ++steps === stopAfterSteps) break;
  return model;
}

let directory: string;
let checkpoints: CheckpointStore;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'trainer-proof-'));
  checkpoints = fileCheckpoints(directory);
});
afterEach(() => rm(directory, { recursive: true, force: true }));

/** The one checkpoint that is kept. */
const folder = async () => {
  const [name = ''] = (await readdir(directory)).filter((entry) => entry.startsWith('phase-'));
  return join(directory, name);
};

describe('a checkpoint on disk', () => {
  test.each([
    ['in the middle of a phase', 6],
    ['of a finished run', Infinity],
  ])('%s notices any bit flipped in any of its files, and names the file', async (_, stopAfter) => {
    await run(checkpoints, stopAfter);
    for (const path of [join(directory, 'latest.json'), join(await folder(), 'state.json')]) {
      const good = await readFile(path);
      for (let bit = 0; bit < 8 * good.length; bit += 13) {
        const bad = Buffer.from(good);
        bad[bit >> 3]! ^= 1 << (bit & 7);
        await writeFile(path, bad);
        const attempt = checkpoints.load();
        await expect(attempt).rejects.toMatchObject({ code: 'TRAINER_CHECKPOINT_DAMAGED' });
        await expect(attempt).rejects.toThrow(path.endsWith('state.json') ? '/state.json ' : 'latest.json ');
      }
      await writeFile(path, good);
    }
    await expect(run(checkpoints)).resolves.toBeDefined();
  });

  test('notices a file that is missing, cut off, or of another step, all at once', async () => {
    const files = {
      'a.bin': Buffer.from('aaaa'),
      'b.bin': Buffer.from('bbbb'),
      'c.bin': Buffer.from('cccc'),
    };
    const position = { phase: 0, step: 1, certificate: {}, fingerprint: {} };
    await checkpoints.save({ position, segments: {}, files });
    const at = await folder();
    await rm(join(at, 'a.bin'));
    await writeFile(join(at, 'b.bin'), 'bbb');
    await writeFile(join(at, 'c.bin'), 'CCCC');
    await expect(checkpoints.load()).rejects.toMatchObject({
      problems: [
        'phase-0-step-1/a.bin cannot be read (ENOENT)',
        'phase-0-step-1/b.bin has 3 bytes; 4 were written',
        expect.stringContaining('phase-0-step-1/c.bin has other content than was written'),
      ],
    });
  });

  test('of an earlier step is not put into a later one', async () => {
    await run(checkpoints, 2);
    const earlier = join(directory, 'kept');
    await cp(await folder(), earlier, { recursive: true });
    await run(checkpoints, 1);
    await cp(earlier, await folder(), { recursive: true });
    await expect(run(checkpoints)).rejects.toMatchObject({ code: 'TRAINER_CHECKPOINT_DAMAGED' });
  });

  test('that has lost its pointer is not taken for a run that was never saved', async () => {
    await run(checkpoints, 2);
    await rm(join(directory, 'latest.json'));
    await expect(checkpoints.load()).rejects.toThrow(
      'latest.json is missing, though there is phase-0-step-2',
    );
  });

  test('that was cut off while the first one was written counts as none', async () => {
    const dies = new Error('killed');
    const files = {
      get 'a.bin'(): Uint8Array {
        throw dies;
      },
    };
    const position = { phase: 0, step: 1, certificate: {}, fingerprint: {} };
    await expect(checkpoints.save({ position, segments: {}, files })).rejects.toBe(dies);
    await writeFile(join(directory, 'phase-0-step-1'), '');
    await expect(checkpoints.load()).resolves.toBeUndefined();
  });

  test('of the earlier format is refused with the way out, since nothing proves it', async () => {
    const old = { folder: 'phase-0-step-1', position: { phase: 0, step: 1, certificate: {} }, files: ['a'] };
    await writeFile(join(directory, 'latest.json'), JSON.stringify(old, null, 2));
    await expect(checkpoints.load()).rejects.toThrow(/--force[\s\S]*earlier version, which kept no digests/);
  });

  test('stays whole while the same position is saved again', async () => {
    const position = { phase: 0, step: 1, certificate: {}, fingerprint: {} };
    const first: Checkpoint = { position, segments: {}, files: { 'a.bin': Buffer.from('1') } };
    await checkpoints.save(first);
    const broken = { ...first, files: { 'a.bin': 5 as unknown as Uint8Array } };
    await expect(checkpoints.save(broken)).rejects.toThrow();
    await expect(checkpoints.load()).resolves.toEqual(first);
    const second = { ...first, files: { 'a.bin': Buffer.from('2') } };
    await checkpoints.save(second);
    await checkpoints.save(second);
    await expect(checkpoints.load()).resolves.toEqual(second);
    expect((await readdir(directory)).filter((name) => name.startsWith('phase-'))).toHaveLength(1);
  });
});

describe('a run that resumes', () => {
  /** A store whose checkpoint is changed on its way to the run. */
  const changed = (change: (checkpoint: Checkpoint) => Partial<Checkpoint>): CheckpointStore => ({
    ...checkpoints,
    load: async () => {
      const loaded = await checkpoints.load();
      return loaded && { ...loaded, ...change(loaded) };
    },
  });

  test.each([
    [{ phase: 99 }, 'phase 99 does not exist; the run has 4 phases'],
    [{ phase: 0.5 }, 'phase 0.5 does not exist'],
    [{ phase: -1 }, 'phase -1 does not exist'],
    [{ step: -5 }, 'step -5 of phase 1 does not exist; the phase has 4 steps'],
    [{ step: 5 }, 'step 5 of phase 1 does not exist'],
    [{ step: 1.5 }, 'step 1.5 of phase 1 does not exist'],
    [{ step: NaN }, 'step NaN of phase 1 does not exist'],
    [{ phase: 4, step: 1 }, 'step 1 of phase 4 does not exist; the phase has 0 steps'],
    [{ certificate: {} }, '"certificate" has no hash of task "vehicle"'],
    [{ step: 0 }, 'the segment of "weather" is not the one of the last certificate'],
  ])('refuses a position that the run does not have: %j', async (edit, message) => {
    await run(checkpoints, 6);
    const edited = changed(({ position }) => ({ position: { ...position, ...edit } }));
    const attempt = run(edited);
    await expect(attempt).rejects.toMatchObject({ code: 'TRAINER_CHECKPOINT_DAMAGED' });
    await expect(attempt).rejects.toThrow(message);
  });

  test('refuses a position that was edited in latest.json, even with a seal that fits', async () => {
    await run(checkpoints, 6);
    const path = join(directory, 'latest.json');
    const { seal, ...pointer } = JSON.parse(await readFile(path, 'utf8')) as {
      seal: string;
      saved: { position: object };
    };
    const edited = {
      ...pointer,
      saved: { ...pointer.saved, position: { ...pointer.saved.position, step: 99 } },
    };
    await writeFile(path, JSON.stringify({ ...edited, seal }));
    await expect(run(checkpoints)).rejects.toThrow('does not fit its seal');
    await writeFile(path, sealJson(edited));
    await expect(run(checkpoints)).rejects.toThrow('step 99 of phase 1 does not exist');
  });

  test.each([3, 6, Infinity])(
    'finds a segment that was restored to other bytes before it is used, and does not blame the model (stopped after step %p)',
    async (stopAfter) => {
      await run(checkpoints, stopAfter);
      for (const damaged of tasks) {
        const saved: Checkpoint[] = [];
        const store: CheckpointStore = {
          ...changed(({ files }) => {
            const state = JSON.parse(Buffer.from(files['state.json'] ?? '').toString()) as {
              weights: Record<string, number>;
            };
            state.weights[damaged] = (state.weights[damaged] ?? 0) + 1e-9;
            return { files: { 'state.json': Buffer.from(JSON.stringify(state)) } };
          }),
          save: (checkpoint) => Promise.resolve(void saved.push(checkpoint)),
        };
        const model = new FakeModel(tasks);
        const attempt = run(store, Infinity, model);
        await expect(attempt).rejects.toMatchObject({ code: 'TRAINER_CHECKPOINT_DAMAGED' });
        await expect(attempt).rejects.toThrow(
          `the restored segment of "${damaged}" is not the one that was saved`,
        );
        expect([saved.length, model.steps]).toEqual([0, 0]);
      }
    },
  );
});

describe('a run that saves', () => {
  test('within a phase checks first that no frozen segment has changed', async () => {
    const model = new FakeModel(tasks);
    Object.assign(model, { leaksInto: ['vehicle'], leaksDuring: 'weather' });
    const store = fileCheckpoints(directory);
    const events = train(model, phases, { ...options, checkpoints: store, checkpointEverySteps: 3 });
    await expect(
      (async () => {
        for await (const event of events) expect(event.type).not.toBe('resume');
      })(),
    ).rejects.toMatchObject({ code: 'TRAINER_FREEZE_VIOLATED', tasks: ['vehicle'] });
    expect(model.steps).toBe(4 + 3);
    expect((await store.load())?.position).toMatchObject({ phase: 1, step: 0 });
  });

  test('when it is stopped checks first too', async () => {
    const model = new FakeModel(tasks);
    model.leaksInto = ['road'];
    await expect(run(checkpoints, 2, model)).rejects.toMatchObject({ code: 'TRAINER_FREEZE_VIOLATED' });
    await expect(checkpoints.load()).resolves.toBeUndefined();
  });
});
