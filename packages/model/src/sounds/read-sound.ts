/** Reads sound files for an audio tower. */
import { nameOfFile } from '../images/file-signatures.js';
import { type MediaSource, nameOfMedia, readMediaFile } from '../read-media-file.js';
import { decodeSound } from './decode-sound.js';
import { samplesPerSecond } from './log-mel.js';
import { readWav } from './read-wav.js';
import { requireRatio, resample, resampledLength } from './resample.js';
import { damagedSound, type Sound, unsupportedSound } from './sound.js';

/** The path of a sound, or its bytes under a name that messages give it. */
export type SoundSource = MediaSource;

/**
 * Reads a WAV, FLAC, MP3 or Ogg Vorbis file, which its content and not its name must prove: at most 8 channels and 2²⁶ samples.
 *
 * @throws ModelError when the file cannot be opened, is damaged or cut short, is of another format, is too long, or has samples that are not finite.
 */
export async function readSound(source: SoundSource): Promise<Sound> {
  const path = nameOfMedia(source);
  const bytes = await readMediaFile(source, {
    where: 'readSound',
    kind: 'sound',
    unsupported: unsupportedSound,
  });
  const sound = await decode(bytes, path);
  if (!sound.channels.every((samples) => samples.every((sample) => Number.isFinite(sample))))
    throw damagedSound(path, 'it has samples that are not finite numbers');
  return sound;
}

/** Checks that a file is a sound that is read, and returns how many samples it has at 16 kHz. @throws ModelError as {@link readSound}. */
export async function checkSound(source: SoundSource): Promise<{ readonly samples: number }> {
  const { channels, samplesPerSecond: rate } = await readSound(source);
  requireRatio(rate, samplesPerSecond);
  return { samples: resampledLength(channels[0]?.length ?? 0, rate, samplesPerSecond) };
}

/** Reads a sound as one channel, the mean of all, of 16,000 samples per second. @throws ModelError as {@link readSound}. */
export async function readWave(source: SoundSource): Promise<Float32Array> {
  const { channels, samplesPerSecond: rate } = await readSound(source);
  const [first = new Float32Array()] = channels;
  const mono =
    channels.length === 1
      ? first
      : first.map((_, i) => channels.reduce((sum, samples) => sum + samples[i]!, 0) / channels.length);
  return resample(mono, rate, samplesPerSecond);
}

function decode(bytes: Buffer, path: string): Sound | Promise<Sound> {
  const start = bytes.toString('latin1', 0, 4096);
  if (/^RIFF[^]{4}WAVE/.test(start)) return readWav(bytes, path);
  if (start.startsWith('fLaC')) return decodeSound(bytes, 'FLAC', path);
  if (start.startsWith('OggS')) {
    if (start.includes('\x01vorbis')) return decodeSound(bytes, 'Ogg Vorbis', path);
    throw unsupportedSound(
      path,
      start.includes('OpusHead') ? 'it is an Ogg of Opus' : 'it is an Ogg without Vorbis',
    );
  }
  if (start.startsWith('ID3') || isMp3Frame(bytes)) return decodeSound(bytes, 'MP3', path);
  throw unsupportedSound(path, `it is ${nameOfFile(bytes)}`);
}

/** Eleven bits of synchronisation, then version and layer III. */
const isMp3Frame = (bytes: Buffer) =>
  bytes[0] === 0xff && ((bytes[1] ?? 0) & 0xe6) === 0xe2 && ((bytes[1] ?? 0) & 0x18) !== 0x08;
