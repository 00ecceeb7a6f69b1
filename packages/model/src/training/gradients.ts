/** Gradients from the tensors of a backward pass to the optimizer's buffer. */
import { dispose } from '@contextlora/kernels/tfjs';
import type { Segments } from '@contextlora/lora';

import type { GradientsByLinear } from '../pass/range-pass.js';
import type { TaskSegment } from '../pass/segments.js';

const tensorsOf = (gradients: GradientsByLinear) =>
  [...gradients.values()].flatMap((ofLinear) => ofLinear.flatMap((pair) => (pair ? [pair.a, pair.b] : [])));

/** Adds the gradients of a backward pass to the views of the flat gradient, or with `isFirst` copies them. */
export async function addGradients(
  target: Segments,
  active: ReadonlyMap<string, readonly TaskSegment[]>,
  gradients: GradientsByLinear,
  { isFirst }: { isFirst: boolean },
): Promise<void> {
  const pairs = [...gradients].flatMap(([linear, linearGradients]) =>
    linearGradients.flatMap((gradient, i) => {
      const task = active.get(linear)?.[i]?.task ?? '';
      if (!gradient) return [];
      const views = target[task]?.[linear];
      if (!views) throw new Error(`internal: ${task}/${linear} is not trained`);
      return [
        { gradient: gradient.a, view: views.a },
        { gradient: gradient.b, view: views.b },
      ];
    }),
  );
  // All reads at once, so that a graphics card is awaited only once.
  const read = await Promise.all(
    pairs.map(async ({ gradient, view }) => ({ view, values: await gradient.data() })),
  );
  for (const { view, values } of read)
    // A copy is many times faster than adding to zeros.
    if (isFirst) view.set(values);
    else for (let j = 0; j < values.length; j++) view[j]! += values[j]!;
}

export function disposeGradients(gradients: GradientsByLinear): void {
  dispose(tensorsOf(gradients));
}
