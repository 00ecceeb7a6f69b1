/** llama.cpp in `npm run bench:decode`, through node-llama-cpp. */
import { answerRuns } from './answer-runs.js';

/** The parts of node-llama-cpp 3.22 in use. */
interface Sequence {
  evaluate(tokens: readonly number[], options: object): AsyncGenerator<number>;
  clearHistory(): Promise<void>;
}
interface Library {
  readonly getLlama: (options: object) => Promise<{
    loadModel(options: object): Promise<{
      createContext(options: object): Promise<{ getSequence(): Sequence }>;
    }>;
  }>;
}

await answerRuns(open);

async function open(settings: {
  model: string;
  module: string;
  promptTokens: number;
  newTokens: number;
  threads: number;
}) {
  const { promptTokens, newTokens, threads } = settings;
  const { getLlama } = (await import(settings.module)) as Library;
  const llama = await getLlama({ gpu: false, build: 'never', logLevel: 'error', maxThreads: threads });
  const model = await llama.loadModel({ modelPath: settings.model });
  const context = await model.createContext({ contextSize: promptTokens + newTokens + 8, threads });
  const sequence = context.getSequence();
  const size = (
    model as unknown as { fileInfo: { metadata: { tokenizer: { ggml: { tokens: unknown[] } } } } }
  ).fileInfo.metadata.tokenizer.ggml.tokens.length;
  const prompt = Array.from({ length: promptTokens }, (_, i) => 5 + ((i * 37) % (size - 10)));
  return async () => {
    await sequence.clearHistory();
    const cpuBefore = process.cpuUsage();
    const begin = performance.now();
    let read = begin;
    let count = 0;
    const tokens = sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true });
    while (count < newTokens && !(await tokens.next()).done) {
      if (count === 0) read = performance.now();
      count++;
    }
    await tokens.return(undefined);
    const end = performance.now();
    return {
      prefillSeconds: (read - begin) / 1000,
      // An end token may come early, so divide by the tokens written.
      decodeSeconds: (((end - read) / 1000) * (newTokens - 1)) / Math.max(1, count - 1),
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
