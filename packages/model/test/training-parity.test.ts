import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openKernels, type Kernels } from '@contextlora/kernels';
import { initialiseSegments, partitionRanks, type Roles, type Segments } from '@contextlora/lora';
import { readPeftFolder } from '@contextlora/lora/files';
import { createLocalModel, type Example, linearsOf, loadModel, type LoadedModel } from '@contextlora/model';

import { fixture } from './golden.js';

/** What `npm run check:parity-training -- --golden` wrote: a training that PyTorch and PEFT followed, and the segments they ended with. */
interface Golden {
  readonly rank: number;
  readonly tasks: readonly {
    readonly id: string;
    readonly frozen: readonly string[];
    readonly examples: readonly Example[];
    readonly batches: readonly (readonly number[])[];
    readonly learningRates: readonly number[];
  }[];
}

const folder = fixture('training-parity');
let golden: Golden;
let trained: Segments;
beforeAll(async () => {
  golden = JSON.parse(await readFile(join(folder, 'plan.json'), 'utf8')) as Golden;
  const read = golden.tasks.map(
    async ({ id }) => [id, (await readPeftFolder(join(folder, id))).modules] as const,
  );
  trained = Object.fromEntries(await Promise.all(read));
});

describe.each(['reference', 'wasm', 'onnx'] as const)('on the %s backend', (backend) => {
  let kernels: Kernels;
  let model: LoadedModel;
  beforeAll(async () => {
    kernels = await openKernels({ prefer: backend });
    model = await loadModel(fixture('llama-tiny'), { kernels });
  });
  afterAll(() => {
    model.dispose();
    kernels.dispose();
  });

  test('twenty steps of three tasks, one on the frozen segment of another, end with the weights of PyTorch and PEFT', async () => {
    const { rank, tasks } = golden;
    const partition = partitionRanks(
      linearsOf(model.spec),
      tasks.map(({ id, frozen }) => ({ id, dependsOn: frozen })),
      { rank },
    );
    const local = createLocalModel(model, {
      partition,
      segments: initialiseSegments(partition, { seed: 0 }),
    });
    for (const { id, frozen, examples, batches, learningRates } of tasks) {
      const roles: Roles = {
        ...Object.fromEntries(frozen.map((ancestor) => [ancestor, 'freeze'] as const)),
        [id]: 'train',
      };
      await local.setPhase({ tasks: [id], roles: { [id]: roles } });
      for (const [step, batch] of batches.entries())
        await local.step(id, [batch.map((index) => examples[index]!)], {
          learningRate: learningRates[step]!,
        });
    }
    const differences = Object.entries(local.segments()).flatMap(([task, segment]) =>
      Object.entries(segment).flatMap(([linear, matrices]) =>
        (['a', 'b'] as const).map((part) => {
          const other = trained[task]?.[linear]?.[part];
          return Math.max(...matrices[part].map((value, i) => Math.abs(value - (other?.[i] ?? NaN))));
        }),
      ),
    );
    expect(differences).toHaveLength(3 * 14 * 2);
    expect(Math.max(...differences)).toBeLessThan(1e-4);
  });
});
