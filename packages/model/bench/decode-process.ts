/** This project in `npm run bench:decode`: reads settings from the first line and answers every further line with a timing. */
import { createInterface } from 'node:readline';

import { openKernels } from '@contextlora/kernels';
import { cachedLogits, likeliest, loadModel, openCache, type BaseFormat } from '@contextlora/model';

let run: (() => Promise<object>) | undefined;
for await (const line of createInterface({ input: process.stdin })) {
  if (!run) {
    run = await open(JSON.parse(line) as Parameters<typeof open>[0]);
    console.log('{}');
  } else console.log(JSON.stringify(await run()));
}

async function open(settings: {
  model: string;
  promptTokens: number;
  newTokens: number;
  threads: number;
  base?: BaseFormat;
}) {
  const { promptTokens, newTokens, threads, base } = settings;
  const kernels = await openKernels({ threads });
  const model = await loadModel(settings.model, { kernels, ...(base ? { base } : {}) });
  const { vocabularySize } = model.spec.text;
  const prompt = Array.from({ length: promptTokens }, (_, i) => 5 + ((i * 37) % (vocabularySize - 10)));
  return async () => {
    const cache = openCache(model, { capacity: promptTokens + newTokens });
    const cpuBefore = process.cpuUsage();
    const begin = performance.now();
    let next = likeliest((await cachedLogits(model, [{ ids: prompt }], cache))[0]![0]!);
    const read = performance.now();
    for (let i = 1; i < newTokens; i++)
      next = likeliest((await cachedLogits(model, [{ ids: [next] }], cache))[0]![0]!);
    const end = performance.now();
    cache.dispose();
    return {
      prefillSeconds: (read - begin) / 1000,
      decodeSeconds: (end - read) / 1000,
      cpuSeconds: cpuSecondsSince(cpuBefore),
      peakBytes: process.resourceUsage().maxRSS * 1024,
    };
  };
}

/** The CPU time of all threads. */
function cpuSecondsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}
