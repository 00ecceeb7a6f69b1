/** Reads sound files for an audio tower. */
import { open, stat } from 'node:fs/promises';

import { nameOfFile } from '../images/file-signatures.js';
import { ModelError } from '../model-error.js';
import { decodeSound } from './decode-sound.js';
import { samplesPerSecond } from './log-mel.js';
import { readWav } from './read-wav.js';
import { requireRatio, resample, resampledLength } from './resample.js';
import { damagedSound, type Sound, unsupportedSound } from './sound.js';

const mostBytes = 2 ** 28;

/** The path of a sound, or its bytes under a name that messages give it. */
export type SoundSource = string | { readonly name: string; readonly bytes: Uint8Array };

/**
 * Reads a WAV, FLAC, MP3 or Ogg Vorbis file, which its content and not its name must prove: at most 8 channels and 2²⁶ samples.
 *
 * @throws ModelError when the file cannot be opened, is damaged or cut short, is of another format, is too long, or has samples that are not finite.
 */
export async function readSound(source: SoundSource): Promise<Sound> {
  const path = typeof source === 'string' ? source : source.name;
  const bytes =
    typeof source === 'string'
      ? await readBytes(source)
      : Buffer.from(source.bytes.buffer, source.bytes.byteOffset, source.bytes.byteLength);
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

async function readBytes(path: string): Promise<Buffer> {
  const missing = (cause: unknown) =>
    new ModelError(
      'MODEL_FILE_MISSING',
      'readSound',
      `cannot read ${path} as a sound: it cannot be opened (${(cause as Error).message})`,
      { cause },
    );
  // A pipe would be waited for, and a device has no end.
  const found = await stat(path).catch((cause: unknown) => {
    throw missing(cause);
  });
  if (!found.isFile()) throw unsupportedSound(path, 'it is not a file');
  if (found.size > mostBytes)
    throw unsupportedSound(
      path,
      `it has ${Math.ceil(found.size / 1e6)} MB, and at most ${Math.floor(mostBytes / 1e6)} are read`,
    );
  const file = await open(path).catch((cause: unknown) => {
    throw missing(cause);
  });
  try {
    return await file.readFile();
  } catch (cause) {
    throw missing(cause);
  } finally {
    await file.close();
  }
}
