import { expect, test } from '@jest/globals';
import { modelTensors, publishedSpec, publishedSpecNames } from '@contextlora/model';

test('published dimensions give the published parameter counts', () => {
  const parametersOf = (name: string): number =>
    [...modelTensors(publishedSpec(name)!).values()].reduce(
      (sum, shape) => sum + shape.reduce((product, size) => product * size, 1),
      0,
    );
  // The model cards say 135 M, 0.49 B and 1.24 B.
  expect(Object.fromEntries(publishedSpecNames.map((name) => [name, parametersOf(name)]))).toEqual({
    'smollm2-135m': 134_515_008,
    'qwen2.5-0.5b': 494_032_768,
    'llama-3.2-1b': 1_235_814_400,
  });
});
