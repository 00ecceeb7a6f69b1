/**
 * Whether llama.cpp writes what `generate` writes: trains two label tasks, one of which depends on the other, on the embedded base, writes
 * the base and the composed adapter of each as GGUF files, and compares the greedy answers to prompts that were not trained on, token by
 * token. Also counts those that are the label which `predict` chooses. Exits with 1 if llama.cpp and `generate` differ.
 *
 * Usage: npm run check:llama-cpp -- --peers FOLDER [--json FILE]; FOLDER has node-llama-cpp in its node_modules.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { openKernels } from '@contextlora/kernels';
import { composeTask, initialiseSegments, masksFor, partitionRanks } from '@contextlora/lora';
import { readSafetensors, writeWhole } from '@contextlora/lora/files';
import { toFloat32 } from '@contextlora/lora/safetensors';
import {
  createLocalModel,
  encodeGgufAdapter,
  type Example,
  linearsOf,
  loadModel,
  promptIds,
  generate,
  uploadSegments,
} from '@contextlora/model';

import { type Value, writeGguf, type WrittenTensor } from '../test/write-gguf.js';

/** The parts of node-llama-cpp 3.22 in use. */
interface Library {
  readonly getLlama: (options: object) => Promise<{
    loadModel(options: object): Promise<{
      createContext(options: object): Promise<{
        getSequence(): { evaluate(tokens: readonly number[], options: object): AsyncGenerator<number> };
        dispose(): Promise<void>;
      }>;
    }>;
  }>;
}

const { values } = parseArgs({ options: { peers: { type: 'string' }, json: { type: 'string' } } });
if (values.peers === undefined) throw new Error('name a folder with node-llama-cpp: --peers FOLDER');
const library = join(resolve(values.peers), 'node_modules/node-llama-cpp/dist/index.js');
const directory = join(import.meta.dirname, '../../benchmarks/models/iov-base');
const base = await loadModel(directory, { kernels: await openKernels() });
const { text } = base.spec;

/** The longest answer. */
const mostTokens = 12;

const tasks = [
  { id: 'light', dependsOn: [] },
  { id: 'drive', dependsOn: ['light'] },
];
// A label of several tokens, and one that begins another; all are words that the base was trained on, as its other tokens are not.
const answers = { light: ['night', 'fog river', 'fog'], drive: ['slow', 'slow truck', 'keep'] };
const moods = ['low', 'bright', 'grey'];
const exampleOf = (task: keyof typeof answers, index: number): Example => {
  const kind = index % 3;
  const parent = task === 'drive' ? ` light ${answers.light[kind]} .` : '';
  return {
    prompt: `case ${index} . the light is ${moods[kind]} .${parent} ${task} ?`,
    answer: answers[task][kind] ?? '',
    labels: answers[task],
  };
};

/** `model.text_model.layers.0.self_attn.q_proj` → `blk.0.attn_q`. */
function ggufName(name: string): string | undefined {
  const layer = /^model\.text_model\.layers\.(\d+)\.(?:self_attn|mlp)\.(\w+)_proj$/.exec(name);
  const parts: Readonly<Record<string, string>> = {
    ...{ q: 'attn_q', k: 'attn_k', v: 'attn_v', o: 'attn_output' },
    ...{ gate: 'ffn_gate', up: 'ffn_up', down: 'ffn_down' },
  };
  if (layer) return `blk.${layer[1]}.${parts[layer[2] ?? '']}`;
  const norm = /^model\.text_model\.layers\.(\d+)\.(input|post_attention)_layernorm$/.exec(name);
  if (norm) return `blk.${norm[1]}.${norm[2] === 'input' ? 'attn_norm' : 'ffn_norm'}`;
  return { 'model.text_model.embed_tokens': 'token_embd', 'model.text_model.norm': 'output_norm' }[name];
}

/** A float32 tensor; files of architecture `llama` interleave the halves of each head's rows of q and k. */
function tensorOf(name: string, shape: readonly number[], from: Float32Array): WrittenTensor {
  const columns = shape.at(-1) ?? 1;
  const half = text.headDim / 2;
  const to = Float32Array.from(from);
  if (/attn_[qk]\.weight$/.test(name))
    for (let row = 0; row < from.length / columns; row++) {
      const within = row % text.headDim;
      const source = row - within + (within % 2) * half + (within >> 1);
      to.set(from.subarray(source * columns, (source + 1) * columns), row * columns);
    }
  return { name, shape, type: 0, bytes: Buffer.from(to.buffer) };
}

const string = (value: string): Value => ({ type: 'text', value });
const whole = (value: number): Value => ({ type: 'u32', value });
const real = (value: number): Value => ({ type: 'f32', value });

async function baseFile(): Promise<Buffer> {
  const json = JSON.parse(await readFile(join(directory, 'tokenizer.json'), 'utf8')) as {
    model: { vocab: Record<string, number>; merges: (string | [string, string])[] };
    added_tokens: { id: number; content: string }[];
  };
  const tokens: string[] = [];
  for (const [token, id] of Object.entries(json.model.vocab)) tokens[id] = token;
  for (const { id, content } of json.added_tokens) tokens[id] = content;
  const special = new Set(json.added_tokens.map(({ id }) => id));
  const tensors = [...(await readSafetensors(join(directory, 'model.safetensors'))).tensors].flatMap(
    ([stored, tensor]) => {
      const name = ggufName(stored.replace(/\.weight$/, ''));
      return name === undefined ? [] : [tensorOf(`${name}.weight`, tensor.shape, toFloat32(tensor))];
    },
  );
  return writeGguf({
    metadata: [
      ['general.architecture', string('llama')],
      ['llama.context_length', whole(512)],
      ['llama.embedding_length', whole(text.hiddenSize)],
      ['llama.block_count', whole(text.layerCount)],
      ['llama.feed_forward_length', whole(384)],
      ['llama.attention.head_count', whole(text.heads)],
      ['llama.attention.head_count_kv', whole(text.kvHeads)],
      ['llama.attention.layer_norm_rms_epsilon', real(1e-5)],
      ['llama.rope.freq_base', real(1000)],
      ['llama.rope.dimension_count', whole(text.headDim)],
      ['tokenizer.ggml.model', string('gpt2')],
      ['tokenizer.ggml.pre', string('gpt-2')],
      ['tokenizer.ggml.tokens', { type: 'texts', value: tokens }],
      [
        'tokenizer.ggml.token_type',
        { type: 'i32s', value: tokens.map((_, id) => (special.has(id) ? 3 : 1)) },
      ],
      [
        'tokenizer.ggml.merges',
        { type: 'texts', value: json.model.merges.map((pair) => [pair].flat().join(' ')) },
      ],
      ['tokenizer.ggml.bos_token_id', whole(1)],
      ['tokenizer.ggml.eos_token_id', whole(2)],
    ],
    tensors,
  });
}

const folder = await mkdtemp(join(tmpdir(), 'check-llama-cpp-'));
try {
  const linears = linearsOf(base.spec).filter(({ name }) => ggufName(name) !== undefined);
  const partition = partitionRanks(linears, tasks, { rank: 8 });
  const model = createLocalModel(base, { partition, segments: initialiseSegments(partition, { seed: 0 }) });
  const roles = {
    light: { light: 'train', drive: 'mask' },
    drive: { light: 'freeze', drive: 'train' },
  } as const;
  const basePath = join(folder, 'base.gguf');
  await writeFile(basePath, await baseFile());
  const { getLlama } = (await import(library)) as Library;
  const llama = await getLlama({ gpu: false, build: 'never', logLevel: 'error', maxThreads: 1 });
  const loaded = await llama.loadModel({ modelPath: basePath });

  const results = [];
  for (const id of ['light', 'drive'] as const) {
    await model.setPhase({ tasks: [id], roles: { [id]: roles[id] } });
    for (let step = 0; step < 150; step++)
      await model.step(id, [Array.from({ length: 12 }, (_, i) => exampleOf(id, 12 * (step % 5) + i))], {
        learningRate: 5e-3,
      });
    const asked = Array.from({ length: 30 }, (_, i) => exampleOf(id, 60 + i));
    const ours = await model.predict(id, asked, {
      light: 'freeze',
      drive: id === 'drive' ? 'freeze' : 'mask',
    });
    const adapter = join(folder, `${id}.gguf`);
    await writeFile(adapter, encodeGgufAdapter(base.spec, composeTask(partition, model.segments(), id)));
    const active = uploadSegments(
      masksFor(partition, { light: 'freeze', drive: id === 'drive' ? 'freeze' : 'mask' }),
      model.segments(),
    );
    let [same, chosen, right] = [0, 0, 0];
    for (const [i, example] of asked.entries()) {
      const context = await loaded.createContext({
        contextSize: 256,
        threads: 1,
        lora: { adapters: [{ filePath: adapter }] },
      });
      const written: number[] = [];
      for await (const token of context
        .getSequence()
        .evaluate(promptIds(base, example), { temperature: 0, yieldEogToken: true })) {
        if (token === 2 || written.length === mostTokens) break;
        written.push(token);
      }
      await context.dispose();
      const greedy: number[] = [];
      for await (const { id: token } of generate(base, promptIds(base, example), {
        segments: active.byLinear,
        maximumNewTokens: mostTokens,
      }))
        greedy.push(token);
      if (written.join() === greedy.join()) same += 1;
      else
        console.log(`${id}: "${example.prompt}": llama.cpp writes ${written.join()}, not ${greedy.join()}`);
      if (base.tokenizer.decode(written).trim() === ours[i]?.answer) chosen += 1;
      if (ours[i]?.answer === example.answer) right += 1;
    }
    active.dispose();
    console.log(
      `${id}: llama.cpp writes the tokens that generate writes for ${same} of ${asked.length} prompts; ${chosen} are the label that predict chooses, which is right for ${right}`,
    );
    results.push({ task: id, prompts: asked.length, same, chosen, right });
  }
  if (values.json) await writeWhole(values.json, `${JSON.stringify(results, null, 2)}\n`);
  if (results.some(({ same, prompts }) => same < prompts)) process.exitCode = 1;
} finally {
  base.dispose();
  await rm(folder, { recursive: true, force: true });
}
