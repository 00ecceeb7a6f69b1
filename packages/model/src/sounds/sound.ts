/** A sound as samples, and what a file may hold at most. */
import { ModelError } from '../model-error.js';

export interface Sound {
  readonly samplesPerSecond: number;
  /** The samples of each channel, equally many, usually between −1 and 1. */
  readonly channels: readonly Float32Array[];
}

/** Channels that are averaged; files with more are rarely meant to be heard as one sound. */
const mostChannels = 8;

/** Samples of all channels together, 256 MiB as floats: 23 minutes of 48 kHz in mono. */
export const mostSamples = 2 ** 26;

const [leastRate, mostRate] = [1000, 768_000];

export const damagedSound = (path: string, what: string, options?: ErrorOptions) =>
  new ModelError('MODEL_FILE_DAMAGED', 'readSound', `cannot read ${path} as a sound: ${what}`, options);

export const unsupportedSound = (path: string, what: string) =>
  new ModelError(
    'MODEL_UNSUPPORTED',
    'readSound',
    `cannot read ${path} as a sound: ${what}; WAV, FLAC, MP3 and Ogg Vorbis are read, and "ffmpeg -i <file> sound.wav" converts most others`,
  );

/** @throws ModelError when a file says that it has more channels or samples than are read, or a rate that no sound has. */
export function requireBounded(
  path: string,
  { channels, samplesPerSecond, frames }: { channels: number; samplesPerSecond: number; frames: number },
): void {
  if (channels < 1 || channels > mostChannels)
    throw unsupportedSound(path, `it has ${channels} channels, and 1 to ${mostChannels} are read`);
  if (!(samplesPerSecond >= leastRate && samplesPerSecond <= mostRate))
    throw unsupportedSound(
      path,
      `it has ${samplesPerSecond} samples per second, and ${leastRate} to ${mostRate} are read`,
    );
  if (frames * channels > mostSamples)
    throw unsupportedSound(
      path,
      `it is ${(frames / samplesPerSecond / 60).toFixed(1)} minutes long, and at most ${(mostSamples / channels / samplesPerSecond / 60).toFixed(1)} minutes of such a sound are read`,
    );
}
