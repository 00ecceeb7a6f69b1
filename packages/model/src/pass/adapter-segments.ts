/** A PEFT adapter as segments that passes run with. */
import type { LoraSegment } from '@contextlora/kernels';
import type { PeftAdapter } from '@contextlora/lora';
import { dispose, tensor2d } from '@tensorflow/tfjs-core';

import type { SegmentsByLayer } from './language-pass.js';
import { ModelError } from '../model-error.js';
import { linearsOf, type ModelSpec } from '../spec/model-spec.js';

/**
 * Uploads an adapter's matrices; `dispose` frees them.
 *
 * @throws ModelError that lists the adapter's layers which the model does not have, or has in another shape.
 */
export function adapterSegments(
  spec: ModelSpec,
  { modules }: Pick<PeftAdapter, 'modules'>,
): { readonly byLayer: SegmentsByLayer; dispose(): void } {
  const shapes = new Map(linearsOf(spec).map((shape) => [shape.name, shape]));
  const problems = Object.entries(modules).flatMap(([name, { inFeatures, outFeatures }]) => {
    const shape = shapes.get(name);
    if (!shape) return [`"${name}" is no layer of the model`];
    return shape.inFeatures === inFeatures && shape.outFeatures === outFeatures
      ? []
      : [
          `"${name}" is [${outFeatures}, ${inFeatures}], the model's is [${shape.outFeatures}, ${shape.inFeatures}]`,
        ];
  });
  if (problems.length > 0)
    throw new ModelError(
      'adapterSegments',
      ['the adapter was made for another model:', ...problems.slice(0, 10).map((line) => `  ${line}`)].join(
        '\n',
      ),
    );
  const byLayer = new Map<string, LoraSegment[]>();
  for (const [name, { a, b, rank, inFeatures, outFeatures, scale }] of Object.entries(modules))
    byLayer.set(name, [
      { a: tensor2d(a, [rank, inFeatures]), b: tensor2d(b, [outFeatures, rank]), scale, train: false },
    ]);
  return {
    byLayer,
    dispose: () => {
      for (const segments of byLayer.values()) for (const { a, b } of segments) dispose([a, b]);
    },
  };
}
