/** A sound for a conversation: how many tokens it has, and what the model hears there. */
import type { LoadedModel } from '../checkpoint/load-model.js';
import { audioFeatures } from '../pass/audio-tower.js';
import { heardTokens } from './audio-text.js';
import { readWave, type SoundSource } from './read-sound.js';

export interface ChatSound {
  readonly tokens: number;
  /** `[tokens, hidden]`: the `audio` of `generate`, where several follow each other. */
  readonly features: Float32Array;
}

/** Reads and hears a sound. @throws ModelError when the model has no audio tower, or cannot hear all of it, or the file is no sound that is read. */
export async function readChatSound(model: LoadedModel, source: SoundSource): Promise<ChatSound> {
  const { audio, spec, kernels } = model;
  const wave = await readWave(source);
  const tokens = heardTokens(model, wave.length, typeof source === 'string' ? source : source.name);
  if (!audio || !spec.audio) throw new Error('internal: an audio tower was not loaded');
  return { tokens, features: await audioFeatures(wave, audio, { spec: spec.audio, kernels }) };
}
