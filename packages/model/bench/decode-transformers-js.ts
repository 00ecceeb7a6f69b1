/** transformers.js in `npm run bench:decode`, on an ONNX export of the model in float32. */
import { basename, dirname } from 'node:path';

import { answerRuns } from './answer-runs.js';

/** The parts of @huggingface/transformers 3 and 4 in use. */
interface Library {
  readonly env: { allowRemoteModels: boolean; localModelPath: string };
  readonly BaseStreamer: new () => object;
  readonly Tensor: new (type: 'int64', data: BigInt64Array, shape: readonly number[]) => object;
  readonly AutoModelForCausalLM: {
    from_pretrained(
      name: string,
      options: object,
    ): Promise<{ generate(options: object): Promise<unknown>; readonly config: { vocab_size: number } }>;
  };
}

await answerRuns(open);

async function open(settings: {
  onnx: string;
  module: string;
  promptTokens: number;
  newTokens: number;
  threads: number;
}) {
  const { onnx, promptTokens, newTokens, threads } = settings;
  const { env, BaseStreamer, Tensor, AutoModelForCausalLM } = (await import(settings.module)) as Library;
  env.allowRemoteModels = false;
  env.localModelPath = `${dirname(onnx)}/`;
  const model = await AutoModelForCausalLM.from_pretrained(basename(onnx), {
    dtype: 'fp32',
    device: 'cpu',
    session_options: { intraOpNumThreads: threads, interOpNumThreads: 1 },
  });
  const size = model.config.vocab_size;
  const prompt = BigInt64Array.from({ length: promptTokens }, (_, i) => BigInt(5 + ((i * 37) % (size - 10))));
  return async () => {
    const times: number[] = [];
    const streamer = Object.assign(new BaseStreamer(), {
      // The prompt comes first, then each token written.
      put: () => times.push(performance.now()),
      end: () => undefined,
    });
    const cpuBefore = process.cpuUsage();
    const begin = performance.now();
    await model.generate({
      inputs: new Tensor('int64', prompt, [1, promptTokens]),
      attention_mask: new Tensor('int64', new BigInt64Array(promptTokens).fill(1n), [1, promptTokens]),
      max_new_tokens: newTokens,
      min_new_tokens: newTokens,
      do_sample: false,
      streamer,
    });
    const { user, system } = process.cpuUsage(cpuBefore);
    const [, read = begin, ...written] = times;
    return {
      prefillSeconds: (read - begin) / 1000,
      decodeSeconds:
        ((((written.at(-1) ?? read) - read) / 1000) * (newTokens - 1)) / Math.max(1, written.length),
      cpuSeconds: (user + system) / 1e6,
      peakBytes: process.resourceUsage().maxRSS * 1024,
    };
  };
}
