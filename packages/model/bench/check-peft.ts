/**
 * Exports tasks of a partition as PEFT adapters, reads them with PEFT, and compares its logits with ours. Needs Python with peft.
 * Usage: npm run check:peft -- [--python python3] [--json FILE]
 */
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { openKernels } from '@contextlora/kernels';
import {
  composeTask,
  initialiseSegments,
  keyedRandom,
  masksFor,
  partitionRanks,
  segmentModules,
  type Segments,
} from '@contextlora/lora';
import { writePeftFolder, writeSafetensors, writeWhole } from '@contextlora/lora/files';
import { float32Tensor } from '@contextlora/lora/safetensors';
import { uploadSegments, languageLogits, linearsOf, loadModel } from '@contextlora/model';

const { values } = parseArgs({
  options: { python: { type: 'string', default: 'python3' }, json: { type: 'string' } },
});
const fixtures = join(import.meta.dirname, '../test/fixtures');
const tolerance = 1e-4;
const tasks = [
  { id: 'first', dependsOn: [] },
  { id: 'second', dependsOn: ['first'] },
];
const directory = await mkdtemp(join(tmpdir(), 'check-peft-'));
const kernels = await openKernels();
const cases: object[] = [];
for (const base of ['llama-tiny', 'qwen3-tiny', 'smolvlm-tiny'])
  for (const scaling of ['standard', 'rslora'] as const) {
    const model = await loadModel(join(fixtures, base), {
      kernels,
      tokenizerDirectory: join(fixtures, 'llama-tiny'),
    });
    const linears = linearsOf(model.spec).filter(({ layerIndex }) => layerIndex !== undefined);
    const partition = partitionRanks(linears, tasks, { rank: 3, scaling });
    const segments = withRandomB(initialiseSegments(partition, { seed: 1 }));
    const ids = Array.from({ length: 12 }, (_, i) => 5 + ((i * 7) % 80));
    for (const [kind, modules, roles] of [
      ['composed', composeTask(partition, segments, 'second'), { first: 'freeze', second: 'freeze' }],
      ['alone', segmentModules(partition, 'first', segments['first'] ?? {}), { first: 'freeze' }],
    ] as const) {
      const active = uploadSegments(masksFor(partition, roles), segments);
      const logits = languageLogits(
        model,
        { batch: 1, time: ids.length, ids: Int32Array.from(ids), images: [] },
        { head: { rows: Int32Array.from(ids.keys()) }, segments: active.byLinear },
      );
      active.dispose();
      const name = `${base}, ${scaling}, ${kind}`;
      const adapter = join(directory, name);
      await mkdir(adapter);
      await writePeftFolder(adapter, modules, {
        useRslora: kind === 'alone' && scaling === 'rslora',
        baseModel: join(fixtures, base),
        linears: linears.map((linear) => linear.name),
      });
      const file = join(adapter, 'logits.safetensors');
      const ours = Float32Array.from(logits.dataSync());
      await writeSafetensors(file, [['logits', float32Tensor(logits.shape, ours)]]);
      logits.dispose();
      cases.push({
        name,
        base: join(fixtures, base),
        adapter,
        logits: file,
        ids,
        vision: model.spec.vision !== undefined,
      });
    }
    model.dispose();
  }
const list = join(directory, 'cases.json');
await writeFile(list, JSON.stringify(cases));
const { status, stdout, stderr, error } = spawnSync(
  values.python,
  [join(import.meta.dirname, 'check-peft.py'), list],
  { encoding: 'utf8' },
);
await rm(directory, { recursive: true, force: true });
if (status !== 0) {
  const reason = error?.message ?? stderr.trim().split('\n').at(-1) ?? '';
  console.error(`check-peft.py failed with ${values.python}: ${reason}; --python takes another interpreter`);
  process.exit(1);
}
const results = JSON.parse(stdout.trim().split('\n').at(-1) ?? '[]') as {
  case: string;
  worst: number;
  effect: number;
}[];
console.log(
  `${'exported adapter'.padEnd(36)}${'worst difference'.padStart(18)}${'effect of the adapter'.padStart(24)}`,
);
for (const { case: name, worst, effect } of results)
  console.log(`${name.padEnd(36)}${worst.toExponential(1).padStart(18)}${effect.toFixed(2).padStart(24)}`);
if (values.json) await writeWhole(values.json, `${JSON.stringify(results, null, 2)}\n`);
kernels.dispose();
if (results.length !== cases.length || results.some(({ worst }) => !(worst <= tolerance)))
  process.exitCode = 1;

/** Fresh segments add nothing, because their B is zero. */
function withRandomB(segments: Segments): Segments {
  const random = keyedRandom(2, 'check-peft');
  return Object.fromEntries(
    Object.entries(segments).map(([task, segment]) => [
      task,
      Object.fromEntries(
        Object.entries(segment).map(([layer, matrices]) => [
          layer,
          { ...matrices, b: matrices.b.map(() => 0.1 * random.normal()) },
        ]),
      ),
    ]),
  );
}
