/** FLOPs as `workloadsOf` counts them against those that a step executes, and the bytes kept for the backward pass. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { countFlops, openKernels, type WorkKind } from '@contextlora/kernels';
import { initialiseSegments, masksFor, partitionRanks } from '@contextlora/lora';
import { uploadSegments, linearsOf, loadModel } from '@contextlora/model';

import { batch, rolesOf, runStep, tasks, workloadOf } from '../test/executed-step.js';
import { tinyConfigs, writeTinyModel } from '../test/tiny-models.js';

export interface CountedRow {
  readonly architecture: string;
  readonly kind: WorkKind | 'kept bytes';
  readonly counted: number;
  readonly executed: number;
}

const tokenizerDirectory = join(
  dirname(createRequire(import.meta.url).resolve('@contextlora/benchmarks/package.json')),
  'models',
  'iov-base',
);

/** A step of a task whose ancestor is frozen, with segments in every linear layer, on a tiny model of each architecture. */
export async function countedAgainstExecuted(): Promise<CountedRow[]> {
  const directory = await mkdtemp(join(tmpdir(), 'contextlora-counted-'));
  const kernels = await openKernels({ prefer: 'wasm' });
  const rows: CountedRow[] = [];
  try {
    for (const [architecture, config] of Object.entries(tinyConfigs)) {
      const executed: Record<WorkKind, number> = { forward: 0, input: 0, weight: 0 };
      const counting = countFlops(kernels, ({ kind, flops }) => {
        executed[kind] += flops;
      });
      await writeTinyModel(join(directory, architecture), config);
      const model = await loadModel(join(directory, architecture), { kernels: counting, tokenizerDirectory });
      const partition = partitionRanks(linearsOf(model.spec), tasks, { rank: 6 });
      const active = uploadSegments(
        masksFor(partition, rolesOf['road']!),
        initialiseSegments(partition, { seed: 0 }),
      );
      const { layers } = workloadOf('road', partition, model, { featuresKept: true });
      const { keptBytes } = runStep(model, active.byLinear);
      active.dispose();
      model.dispose();
      const sum = (field: 'forwardFlops' | 'inputFlops' | 'weightFlops') =>
        batch * layers.reduce((total, layer) => total + layer[field], 0);
      rows.push(
        { architecture, kind: 'forward', counted: sum('forwardFlops'), executed: executed.forward },
        { architecture, kind: 'input', counted: sum('inputFlops'), executed: executed.input },
        { architecture, kind: 'weight', counted: sum('weightFlops'), executed: executed.weight },
        {
          architecture,
          kind: 'kept bytes',
          counted:
            batch * layers.slice(1, -1).reduce((total, { activationBytes }) => total + activationBytes, 0),
          executed: keptBytes,
        },
      );
    }
  } finally {
    kernels.dispose();
    await rm(directory, { recursive: true });
  }
  return rows;
}
