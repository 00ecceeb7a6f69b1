/** The text of a sound within a prompt: its audio tokens, and the tokens before and after them (Qwen2-Audio, Voxtral). */
import { ModelError } from '../model-error.js';
import { audioTokens, windowSamples } from '../spec/audio-spec.js';
import type { ModelText } from '../text/model-text.js';
import { samplesPerSecond } from './log-mel.js';

type Reader = Pick<ModelText, 'spec' | 'tokenizer'>;

const frames = [
  ['<|audio_bos|>', '<|audio_eos|>'],
  ['[BEGIN_AUDIO]', ''],
] as const;

/** The text of one sound of so many tokens, with the tokens that frame it where the tokenizer has them. */
export function audioText(model: Reader, tokens: number): string {
  const [begin, end] = frames.find(([first]) => model.tokenizer.idOf(first) !== undefined) ?? ['', ''];
  return `${begin}${audioToken(model).repeat(tokens)}${end}`;
}

/** The audio token as text. @throws ModelError when the model has no audio tower. */
export function audioToken({ spec, tokenizer }: Reader): string {
  if (!spec.audio)
    throw new ModelError(
      'MODEL_UNSUPPORTED',
      'audioText',
      'the model has no audio tower, so no sound can stand in its prompt; use a model with one',
    );
  return tokenizer.decode([spec.audio.audioTokenId]);
}

/**
 * A prompt, for example from a chat template, with each of its audio tokens in order repeated for its sound.
 *
 * @throws ModelError when the numbers of audio tokens and sounds differ.
 */
export function withAudioTokens(model: Reader, prompt: string, counts: readonly number[]): string {
  const token = audioToken(model);
  const parts = prompt.split(token);
  if (parts.length !== counts.length + 1)
    throw new ModelError(
      'MODEL_INPUT_INVALID',
      'withAudioTokens',
      `the prompt has ${parts.length - 1} audio tokens "${token}", but ${counts.length} sounds are given`,
    );
  return parts.map((part, i) => `${i === 0 ? '' : token.repeat(counts[i - 1] ?? 0)}${part}`).join('');
}

/**
 * The audio tokens of a sound of so many samples of 16 kHz.
 *
 * @throws ModelError (`MODEL_INPUT_INVALID`) when the model would hear nothing of it, or only its beginning, which transformers passes over.
 */
export function heardTokens({ spec }: Pick<ModelText, 'spec'>, samples: number, path: string): number {
  const { audio } = spec;
  const fail = (what: string) => new ModelError('MODEL_INPUT_INVALID', 'promptIds', `${path} ${what}`);
  if (!audio)
    throw new ModelError(
      'MODEL_UNSUPPORTED',
      'promptIds',
      `the model has no audio tower, so it cannot hear ${path}; use a model with one`,
    );
  const tokens = audioTokens(audio, samples);
  const seconds = (count: number) => `${Number((count / samplesPerSecond).toFixed(2))} seconds`;
  if (tokens === 0 || samples === 0)
    throw fail(`is ${seconds(samples)} long, of which the model hears nothing`);
  if (audio.tower === 'qwen2_audio' && samples > windowSamples(audio))
    throw fail(
      `is ${seconds(samples)} long, and the model hears the first ${seconds(windowSamples(audio))}; cut it`,
    );
  return tokens;
}

/** The audio tokens of an example's sound. @throws ModelError as {@link heardTokens}, and when its length is not known. */
export function audioTokensOf(model: Pick<ModelText, 'spec' | 'soundSamples'>, path: string): number {
  const samples = model.soundSamples?.get(path);
  if (samples === undefined && model.spec.audio)
    throw new ModelError(
      'MODEL_INPUT_INVALID',
      'promptIds',
      `the length of ${path} is not known; give it with withSoundSamples(model, …), from checkSound`,
    );
  return heardTokens(model, samples ?? 0, path);
}

/** The same model, which knows the samples of 16 kHz of the sounds that its examples name, by path. */
export function withSoundSamples<Model extends ModelText>(
  model: Model,
  samples: ReadonlyMap<string, number>,
): Model {
  if (samples.size === 0) return model;
  return { ...model, soundSamples: new Map([...(model.soundSamples ?? []), ...samples]) };
}
