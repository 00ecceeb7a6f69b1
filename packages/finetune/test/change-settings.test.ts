import { type ChangedSettings, changeSettings, type TrainSettings } from '@contextlora/finetune';
import type { Partition } from '@contextlora/lora';
import { describe, expect, test } from '@jest/globals';

const partition: Partition = {
  order: ['light', 'lamp'],
  layers: {
    'layers.0.self_attn.q_proj': {
      in: 8,
      out: 8,
      spans: { light: { start: 0, end: 4 }, lamp: { start: 4, end: 10 } },
    },
  },
  alphas: { light: 8, lamp: 12 },
} as unknown as Partition;
const settings: TrainSettings = {
  seed: 0,
  rank: 10,
  allocation: 'share',
  steps: { light: 10, lamp: 30 },
  batchSize: 4,
  learningRate: 1e-3,
  batches: { lamp: 'balanced' },
};
const changed = (
  given: ChangedSettings = {},
  { named = ['door'], tasks = ['light', 'lamp', 'door'], of = settings } = {},
) => changeSettings(of, { partition, tasks, given, named, rows: { light: 8, lamp: 8, door: 9 } });

describe('the settings of a changed run', () => {
  test('are those of the run, with the largest ranks and steps for a new task, and nothing left to divide', () => {
    expect(changed()).toEqual({
      ...{ seed: 0, batchSize: 4, learningRate: 1e-3, batches: { lamp: 'balanced' } },
      rank: { light: 4, lamp: 6, door: 6 },
      steps: { light: 10, lamp: 30, door: 30 },
    });
  });

  test('lose those of a removed task', () => {
    expect(changed({}, { tasks: ['light'], named: [] })).toEqual({
      ...{ seed: 0, batchSize: 4, learningRate: 1e-3 },
      rank: { light: 4 },
      steps: { light: 10 },
    });
  });

  test('have what is given, one value or one for each task, for the named tasks alone', () => {
    const given: ChangedSettings = {
      rank: 2,
      learningRate: 0.01,
      batches: { door: 'byLength' },
      alpha: 5,
      layers: { from: 0, to: 1 },
      textDropout: 0.5,
    };
    expect(changed(given)).toMatchObject({
      rank: { light: 4, lamp: 6, door: 2 },
      learningRate: { light: 1e-3, lamp: 1e-3, door: 0.01 },
      batches: { lamp: 'balanced', door: 'byLength' },
      alpha: { door: 5 },
      layers: { door: { from: 0, to: 1 } },
      textDropout: { door: 0.5 },
    });
    expect(changed({ steps: 7 }, { named: ['lamp'] }).steps).toEqual({ light: 10, lamp: 7, door: 30 });
  });

  test('count epochs in the rows of the task', () => {
    expect(changed({ epochs: 2 }).steps).toEqual({ light: 10, lamp: 30, door: 5 });
    expect(changed({ epochs: 2 }, { of: { ...settings, steps: 9 } }).steps).toEqual({
      light: 9,
      lamp: 9,
      door: 5,
    });
  });

  test.each<[ChangedSettings, RegExp]>([
    [{ steps: { lamp: 3 } }, /"steps" names "lamp", but this change is about door/],
    [{ steps: 3, epochs: 1 }, /"steps" and "epochs" say one thing in two ways/],
  ])('cannot be %j', (given, message) => {
    expect(() => changed(given)).toThrow(message);
  });
});
