/** A worker that computes a range of a model's layers, wherever it runs. */
import { openKernels } from '@contextlora/kernels';
import { initialiseSegments, type Partition } from '@contextlora/lora';
import { type BaseFormat, createStageExecutor, loadLayers, type OptimizerOptions } from '@contextlora/model';
import { serveStage, type Transport } from '@contextlora/runtime';

export interface ServeLayersOptions {
  /** A model directory or GGUF file, of which the worker reads the bytes of its layers alone. */
  readonly modelPath: string;
  readonly base?: BaseFormat;
  /** Threads of each native operation. */
  readonly threads: number;
  readonly partition: Partition;
  readonly optimizer?: OptimizerOptions;
  /** The device that commands. @default 'coordinator' */
  readonly coordinator?: string;
}

/** Serves until the coordinator closes it, or is lost. */
export async function serveLayers(
  transport: Transport,
  { modelPath, base, threads, partition, optimizer, coordinator }: ServeLayersOptions,
): Promise<void> {
  const kernels = await openKernels({ threads });
  await serveStage(transport, {
    ...(coordinator === undefined ? {} : { coordinator }),
    async openStage(range) {
      const layers = await loadLayers(modelPath, {
        kernels,
        ...range,
        ...(base === undefined ? {} : { base }),
      });
      const stage = createStageExecutor(layers, {
        partition,
        // Whatever they are, the coordinator's take their place before the first step.
        segments: initialiseSegments(partition, { seed: 0 }),
        ...(optimizer ? { optimizer } : {}),
      });
      return {
        ...stage,
        async [Symbol.asyncDispose]() {
          await stage[Symbol.asyncDispose]();
          layers.dispose();
        },
      };
    },
  });
}
