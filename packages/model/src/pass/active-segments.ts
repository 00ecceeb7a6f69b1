/** The active segments of a step as tensors, layer by layer, in the order of the masks. */
import type { LoraSegment } from '@contextlora/kernels';
import type { LayerMask, Segments } from '@contextlora/lora';
import * as tf from '@tensorflow/tfjs-core';

export interface ActiveSegments {
  /** Full layer name → segments; a layer without any is the base alone. */
  readonly byLayer: ReadonlyMap<string, readonly LoraSegment[]>;
  readonly tasks: ReadonlyMap<string, readonly string[]>;
  dispose(): void;
}

/** Uploads what the masks activate; masked segments are not touched. */
export function activateSegments(masks: readonly LayerMask[], segments: Segments): ActiveSegments {
  const byLayer = new Map<string, LoraSegment[]>();
  const tasks = new Map<string, string[]>();
  for (const { layer, active } of masks) {
    const loaded = active.flatMap(({ task, scale, train }): LoraSegment[] => {
      const matrices = segments[task]?.[layer];
      if (!matrices) return [];
      const { rank, a, b } = matrices;
      return [
        {
          a: tf.tensor2d(a, [rank, a.length / rank]),
          b: tf.tensor2d(b, [b.length / rank, rank]),
          scale,
          train,
        },
      ];
    });
    if (loaded.length > 0) byLayer.set(layer, loaded);
    tasks.set(
      layer,
      active.filter(({ task }) => segments[task]?.[layer]).map(({ task }) => task),
    );
  }
  return {
    byLayer,
    tasks,
    dispose: () => {
      for (const loaded of byLayer.values()) for (const { a, b } of loaded) tf.dispose([a, b]);
    },
  };
}
