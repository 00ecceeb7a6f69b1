import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Kernels, openKernels } from '@contextlora/kernels';
import { initialiseSegments, partitionRanks } from '@contextlora/lora';
import { readPeftFolder } from '@contextlora/lora/files';
import {
  audioFeatures,
  audioTokens,
  checkSound,
  createLocalModel,
  generate,
  languageLogits,
  languageLoss,
  linearsOf,
  type LoadedModel,
  loadModel,
  openCheckpoint,
  openImageFeatures,
  parseModelSpec,
  promptIds,
  readChatSound,
  readWave,
  renderChat,
  withAdapter,
  withAudioTokens,
  withChatPrompts,
  withSoundSamples,
} from '@contextlora/model';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { fixture, Golden, largest, lossRequestOf, worstDifference } from './golden.js';

const sound = (name: string) => fixture('sounds', name);
/** The sounds of each row of a fixture's batch. */
const soundsOfRows = {
  'qwen2audio-tiny': [['sweep.flac'], ['s32.wav', 'sweep.flac']],
  'voxtral-tiny': [['sweep.flac'], ['long.flac']],
} as const;
type Name = keyof typeof soundsOfRows;
const names = Object.keys(soundsOfRows) as Name[];

const opened = new Map<string, LoadedModel>();
async function open(name: Name, kernels?: Kernels): Promise<LoadedModel> {
  const key = `${name} ${kernels?.backend ?? ''}`;
  const known = opened.get(key);
  if (known) return known;
  const loaded = await loadModel(fixture(name), {
    kernels: kernels ?? (await openKernels({ prefer: 'reference' })),
    tokenizerDirectory: fixture('qwen2audio-tiny'),
  });
  opened.set(key, loaded);
  return loaded;
}
afterAll(() => {
  for (const model of opened.values()) model.dispose();
});

/** The batch of a fixture, with what the model hears. */
async function batchOf(model: LoadedModel, name: Name) {
  const golden = await Golden.read(name, 'expected.safetensors');
  const [batch = 0, time = 0] = golden.shape('input_ids');
  const sounds: Float32Array[] = [];
  for (const row of soundsOfRows[name]) {
    const parts: number[] = [];
    for (const one of row) parts.push(...(await readChatSound(model, sound(one))).features);
    sounds.push(Float32Array.from(parts));
  }
  const ids = Int32Array.from(golden.integers('input_ids'));
  return { golden, tokens: { batch, time, ids, images: [], sounds } };
}

describe.each(names)('%s', (name) => {
  test.each(['reference', 'wasm', 'onnx'] as const)(
    'hears and answers as transformers on %s',
    async (prefer) => {
      const model = await open(name, await openKernels({ prefer }));
      const { golden, tokens } = await batchOf(model, name);
      const heard = Float32Array.from(tokens.sounds.flatMap((one) => [...one]));
      expect(worstDifference(heard, golden.floats('audio_embeds'))).toBeLessThan(1e-4);
      const { rows } = lossRequestOf(golden);
      const logits = languageLogits(model, tokens, { head: { rows } });
      expect(
        worstDifference((await logits.data()) as Float32Array, golden.floats('answer_logits')),
      ).toBeLessThan(1e-4);
      logits.dispose();
    },
  );

  test('writes what transformers writes', async () => {
    const model = await open(name);
    const { golden, tokens } = await batchOf(model, name);
    const prompt = golden.integers('greedy.prompt_ids');
    const events = generate(model, prompt, { audio: tokens.sounds[0]!, maximumNewTokens: 8, endIds: [] });
    for (;;) {
      const { done, value } = await events.next();
      if (!done) continue;
      expect(value.ids).toEqual(golden.integers('greedy.output_ids'));
      break;
    }
  });

  test('gives the gradients of PEFT', async () => {
    const model = await open(name);
    const { golden, tokens } = await batchOf(model, name);
    const folder = name === 'voxtral-tiny' ? 'lora-voxtral' : 'lora-qwen2audio';
    const adapted = withAdapter(model, await readPeftFolder(fixture(folder)));
    const expected = await Golden.read(folder, 'expected.safetensors');
    const segments = new Map(
      [...adapted.segments].map(([linear, all]) => [linear, all.map((one) => ({ ...one, train: true }))]),
    );
    const { loss, gradients } = languageLoss(adapted.model, tokens, {
      head: lossRequestOf(golden),
      segments,
    });
    expect(Math.abs((await loss) - expected.floats('loss')[0]!)).toBeLessThan(1e-5);
    expect(gradients.size).toBe(14);
    for (const [linear, all] of gradients)
      for (const letter of ['A', 'B'] as const) {
        const wanted = expected.floats(`grad.base_model.model.${linear}.lora_${letter}.weight`);
        const got = await (letter === 'A' ? all[0]!.a : all[0]!.b).data();
        expect(worstDifference(got, wanted) / largest(wanted)).toBeLessThan(1e-4);
      }
    adapted.dispose();
  });
});

test('an adapter of the tower and the projector is heard through, and cannot be trained', async () => {
  const base = await open('qwen2audio-tiny');
  const adapted = withAdapter(base, await readPeftFolder(fixture('lora-qwen2audio-all')));
  const { golden, tokens } = await batchOf(adapted.model, 'qwen2audio-tiny');
  const expected = await Golden.read('lora-qwen2audio-all', 'expected.safetensors');
  const { rows } = lossRequestOf(golden);
  const logits = languageLogits(adapted.model, tokens, { head: { rows }, segments: adapted.segments });
  expect(
    worstDifference((await logits.data()) as Float32Array, expected.floats('answer_logits')),
  ).toBeLessThan(1e-4);
  logits.dispose();
  adapted.dispose();
  expect(linearsOf(base.spec).every(({ name }) => name.startsWith('model.language_model.'))).toBe(true);
});

describe('the prompt of a sound', () => {
  let model: LoadedModel;
  beforeAll(async () => {
    const { samples } = await checkSound(sound('sweep.flac'));
    model = withSoundSamples(await open('qwen2audio-tiny'), new Map([['sweep', samples]]));
  });

  test('has as many audio tokens as the processor counts', () => {
    const { audio } = parseModelSpec({ model_type: 'qwen2_audio' }, 'config.json');
    // transformers: 20 ms are not heard at all; 25 tokens a second; 750 at most.
    for (const [samples, tokens] of [
      [0, 0],
      [320, 0],
      [321, 1],
      [960, 1],
      [961, 2],
      [16_000, 25],
      [480_000, 750],
    ] as const)
      // prettier-ignore
      expect([samples, audioTokens(audio!, samples)]).toEqual([samples, tokens]);
    const voxtral = parseModelSpec({ model_type: 'voxtral' }, 'config.json').audio!;
    for (const [samples, tokens] of [
      [0, 375],
      [480_000, 375],
      [480_001, 750],
    ] as const)
      expect(audioTokens(voxtral, samples)).toBe(tokens);
  });

  test('is framed and comes before the text', () => {
    const ids = promptIds(model, { prompt: 'what is that ?', audio: 'sweep' });
    expect(model.tokenizer.decode(ids)).toBe(
      `<|audio_bos|>${'<|AUDIO|>'.repeat(9)}<|audio_eos|>what is that ?`,
    );
  });

  test('is, through the chat template, that of transformers', async () => {
    const golden = await Golden.read('qwen2audio-tiny', 'expected.safetensors');
    const chats = JSON.parse(await readFile(fixture('qwen2audio-tiny', 'chat.json'), 'utf8')) as {
      messages: { role: string; content: string | { type: 'audio' | 'text'; text: string }[] }[];
      prompt: string;
    }[];
    const [time = 0] = golden.shape('input_ids').slice(1);
    for (const [row, counts] of [
      [0, [9]],
      [1, [1, 9]],
    ] as const) {
      const text = renderChat(model.tokenizer, chats[row]!.messages);
      expect(text).toBe(chats[row]!.prompt);
      const ids = model.tokenizer.encode(withAudioTokens(model, text, counts));
      expect(ids).toEqual(golden.integers('input_ids').slice(row * time, row * time + ids.length));
    }
    const asked = promptIds(withChatPrompts(model), { prompt: 'what is that ?', audio: 'sweep' });
    expect(asked).toEqual(golden.integers('greedy.prompt_ids'));
    expect(() => withAudioTokens(model, 'no token', [9])).toThrow(
      /has 0 audio tokens "<\|AUDIO\|>", but 1 sounds/,
    );
  });

  test('needs a length that the model hears', async () => {
    const ask = (samples: number) => () =>
      promptIds(withSoundSamples(model, new Map([['a.wav', samples]])), { prompt: 'x', audio: 'a.wav' });
    expect(ask(300)).toThrow('a.wav is 0.02 seconds long, of which the model hears nothing');
    expect(ask(16_001)).toThrow('a.wav is 1 seconds long, and the model hears the first 1 seconds; cut it');
    expect(ask(16_000)).not.toThrow();
    expect(() => promptIds(model, { prompt: 'x', audio: 'other.wav' })).toThrow(
      'the length of other.wav is not known',
    );
    await expect(readChatSound(model, sound('long.flac'))).rejects.toThrow('is 1.3 seconds long');
  });

  test('and its features must agree in number', async () => {
    const { golden, tokens } = await batchOf(model, 'qwen2audio-tiny');
    const { rows } = lossRequestOf(golden);
    const sounds = [tokens.sounds[0]!.subarray(32), tokens.sounds[1]!];
    expect(() => languageLogits(model, { ...tokens, sounds }, { head: { rows } })).toThrow(
      /row 0 has 9 audio tokens, but its sound has features for 8/,
    );
  });
});

describe('a model that hears', () => {
  test('learns from sounds, and its features are computed once', async () => {
    const base = await open('qwen2audio-tiny');
    const files = [sound('sweep.flac'), sound('s16-odd-chunk.wav'), sound('s32.wav')];
    const samples = await Promise.all(
      files.map(async (file) => [file, (await checkSound(file)).samples] as const),
    );
    const model = withSoundSamples(base, new Map(samples));
    const partition = partitionRanks(linearsOf(model.spec), [{ id: 'sound', dependsOn: [] }], { rank: 4 });
    const local = createLocalModel(model, {
      partition,
      segments: initialiseSegments(partition, { seed: 0 }),
    });
    const roles = { sound: { sound: 'train' } } as const;
    await local.setPhase({ tasks: ['sound'], roles });
    const labels = ['a siren', 'a bell'];
    const examples = files.map((audio, i) => ({
      prompt: 'what is that ?',
      audio,
      answer: labels[i % 2]!,
      labels,
    }));
    const losses: number[] = [];
    for (let step = 0; step < 12; step++)
      losses.push((await local.step('sound', [examples], { learningRate: 0.02 })).loss);
    expect(losses.at(-1)).toBeLessThan(0.5 * losses[0]!);
    const answers = await local.predict('sound', examples, { sound: 'freeze' });
    // The second is, sample by sample, nearly the first, and cannot be told from it.
    expect(answers[2]!.answer).toBe('a siren');
    const [first] = await local.features.sounds.get([files[0]!]);
    expect((await local.features.sounds.get([files[0]!]))[0]).toBe(first);
    const wave = await readWave(files[0]!);
    const direct = await audioFeatures(wave, base.audio!, { spec: base.spec.audio!, kernels: base.kernels });
    expect(worstDifference(first!, direct)).toBe(0);
    await local[Symbol.asyncDispose]();
  });

  test('does not take one sound for another where the layers below what trains are kept', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'audio-'));
    const other = join(folder, 'other.wav');
    const bytes = await readFile(sound('s16-odd-chunk.wav'));
    await writeFile(other, bytes.fill(0x11, bytes.length - 9000));
    const files = [sound('sweep.flac'), other];
    const lengths = await Promise.all(files.map(async (file) => (await checkSound(file)).samples));
    expect(lengths[0]).toBe(lengths[1]);
    const model = withSoundSamples(
      await open('qwen2audio-tiny'),
      new Map(files.map((file, i) => [file, lengths[i]!])),
    );
    const upper = linearsOf(model.spec).filter(({ layerIndex }) => layerIndex === 1);
    const partition = partitionRanks(upper, [{ id: 'sound', dependsOn: [] }], { rank: 2 });
    const labels = ['a siren', 'a bell'];
    /** The loss of a step on the last of the sounds, after steps that change nothing on the others. */
    const lossAfter = async (heard: readonly string[]) => {
      const segments = initialiseSegments(partition, { seed: 0 });
      const local = createLocalModel(model, { partition, segments });
      await local.setPhase({ tasks: ['sound'], roles: { sound: { sound: 'train' } } });
      let loss = NaN;
      for (const audio of heard) {
        const example = { prompt: 'what is that ?', audio, answer: 'a bell', labels };
        ({ loss } = await local.step('sound', [[example]], { learningRate: 1e-30 }));
      }
      await local[Symbol.asyncDispose]();
      return loss;
    };
    const alone = await lossAfter([other]);
    expect(await lossAfter([files[0]!, other])).toBe(alone);
    expect(await lossAfter([files[0]!])).not.toBe(alone);
    await rm(folder, { recursive: true });
  });

  test('reports every sound that it cannot hear', async () => {
    const { sounds } = openImageFeatures(await open('qwen2audio-tiny'));
    await expect(sounds.get([sound('long.flac')])).rejects.toThrow('long.flac is 1.3 seconds long');
    await expect(sounds.get([sound('none.wav')])).rejects.toThrow('it cannot be opened');
  });
});

describe('a config', () => {
  const config = { model_type: 'qwen2_audio', audio_config: { model_type: 'qwen2_audio_encoder' } };
  test('of a published model relies on the defaults of transformers', () => {
    const { text, audio } = parseModelSpec(config, 'config.json');
    expect(audio).toMatchObject({ melBins: 128, hiddenSize: 1280, mlpSize: 5120, layerCount: 32, heads: 20, positions: 1500, audioTokenId: 151_646 }); // prettier-ignore
    expect(text).toMatchObject({
      hiddenSize: 4096,
      layerCount: 32,
      heads: 32,
      kvHeads: 32,
      vocabularySize: 151_936,
    });
  });

  test.each([
    [{ audio_config: { scale_embedding: true } }, '"scale_embedding": true'],
    [{ audio_config: { activation_function: 'relu' } }, '"activation_function" is "relu"'],
    [{ audio_config: { model_type: 'whisper' } }, 'a "whisper" tower is not supported'],
    [{ audio_config: { d_model: 30, encoder_attention_heads: 4 } }, '30 features do not divide into 4 heads'],
    [{ unknown_setting: 3 }, '"unknown_setting": 3'],
  ])('with a setting that is not acted on is refused: %j', (change, problem) => {
    expect(() => parseModelSpec({ ...config, ...change }, 'config.json')).toThrow(problem);
  });

  test.each([
    ['feature_size', 80, '"feature_size" is 80, and only 16 is supported'],
    ['dither', 1e-5, '"dither" is 0.00001, and only 0 is supported'],
    ['chunk_length', 30, '"chunk_length" is 30, and only 1 is supported'],
    ['other', true, '"other": true'],
  ])('of a processor with %s %s is refused', async (key, value, problem) => {
    const folder = await mkdtemp(join(tmpdir(), 'audio-'));
    await cp(fixture('qwen2audio-tiny'), folder, { recursive: true });
    const path = join(folder, 'preprocessor_config.json');
    const own = JSON.parse(await readFile(path, 'utf8')) as object;
    await writeFile(path, JSON.stringify({ ...own, [key]: value }));
    await expect(openCheckpoint(folder)).rejects.toThrow(problem);
    await rm(folder, { recursive: true });
  });
});
