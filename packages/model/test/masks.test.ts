import { expect, test } from '@jest/globals';
import { countFlops, loadOnnxRuntime, type OperationCount, openKernels } from '@contextlora/kernels';
import { initialiseSegments, partitionRanks, type Roles, type Segments } from '@contextlora/lora';
import { createLocalModel, linearsOf, loadModel, type Example } from '@contextlora/model';

import { fixture } from './golden.js';

const backends = [
  'reference',
  'wasm',
  ...(typeof loadOnnxRuntime() === 'string' ? [] : (['onnx'] as const)),
] as const;
const tasks = [
  { id: 'first', dependsOn: [] },
  { id: 'second', dependsOn: ['first'] },
  { id: 'other', dependsOn: [] },
];
const labels = ['a', 'b', 'c'];
const examples: Example[] = ['red car', 'blue bus', 'green dog'].map((prompt, i) => ({
  prompt,
  answer: labels[i] ?? '',
  labels,
}));

test.each(backends)(
  'on the %s backend a masked segment changes no bit and costs no flop: it is as if it were not there',
  async (backend) => {
    const counts: OperationCount[] = [];
    const kernels = countFlops(await openKernels({ prefer: backend }), (count) => counts.push(count));
    const base = await loadModel(fixture('llama-tiny'), { kernels });
    const ranksOfEach = 4;
    const run = async (present: typeof tasks, roles: Roles, change: (segments: Segments) => void) => {
      const partition = partitionRanks(linearsOf(base.spec), present, {
        rank: ranksOfEach * present.length,
      });
      const segments = initialiseSegments(partition, { seed: 1 });
      // B is zero at first; give active segments an effect.
      for (const [i, task] of ['first', 'second'].entries())
        for (const { a, b } of Object.values(segments[task] ?? {})) {
          for (const at of a.keys()) a[at] = Math.sin(at + i) / 10;
          for (const at of b.keys()) b[at] = Math.cos(at + i) / 10;
        }
      change(segments);
      const model = createLocalModel(base, { partition, segments });
      await model.setPhase({ tasks: ['second'], roles: { second: roles } });
      counts.length = 0;
      const steps = [
        await model.step('second', [examples], { learningRate: 1e-2 }),
        await model.step('second', [examples], { learningRate: 1e-2 }),
      ];
      const answers = await model.predict('second', examples, roles);
      const { first, second } = model.segments();
      return {
        steps,
        answers,
        segments: { first, second },
        flops: counts.map(({ operation, kind, flops }) => [operation, kind, flops]),
      };
    };

    const roles: Roles = { first: 'freeze', second: 'train' };
    const absent = await run(tasks.slice(0, 2), roles, () => undefined);
    const masked = await run(tasks, { ...roles, other: 'mask' }, ({ other = {} }) => {
      // Even a product with zero would be NaN.
      for (const { a, b } of Object.values(other)) {
        a.fill(NaN);
        b.fill(Infinity);
      }
    });
    expect(masked).toEqual(absent);
    expect(absent.steps.every(({ loss, gradientNorm }) => loss > 0 && gradientNorm > 0)).toBe(true);
    const active = await run(tasks, { ...roles, other: 'freeze' }, () => undefined);
    expect(active.flops).not.toEqual(absent.flops);
    base.dispose();
    kernels.dispose();
  },
);
