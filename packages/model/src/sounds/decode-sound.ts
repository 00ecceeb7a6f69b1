/**
 * Decodes compressed sounds with wasm builds of the reference decoders, piece by piece, so that a small file that would become an endless
 * sound is found before it fills the memory.
 */
import { damagedSound, mostSamples, requireBounded, type Sound, unsupportedSound } from './sound.js';

export type SoundFormat = 'FLAC' | 'MP3' | 'Ogg Vorbis';

interface Decoded {
  readonly channelData: readonly Float32Array[];
  readonly samplesDecoded: number;
  readonly sampleRate: number;
  /** Of FLAC. */
  readonly bitDepth?: number;
  readonly errors: readonly { readonly message: string }[];
}

interface Decoder {
  readonly ready: Promise<void>;
  decode(bytes: Uint8Array): Decoded | Promise<Decoded>;
  flush?(): Promise<Decoded>;
  free(): void;
}

/** Loaded when a file needs them. */
const decoders: Readonly<Record<SoundFormat, () => Promise<Decoder>>> = {
  FLAC: async () => new (await import('@wasm-audio-decoders/flac')).FLACDecoder(),
  'Ogg Vorbis': async () => new (await import('@wasm-audio-decoders/ogg-vorbis')).OggVorbisDecoder(),
  MP3: async () => new (await import('mpg123-decoder')).MPEGDecoder(),
};

/** A silent FLAC of eight channels may be ten thousand times as long as its file. */
const pieceBytes = 4096;

/** @throws ModelError when the file is damaged, too long or has too many channels. */
export async function decodeSound(bytes: Uint8Array, format: SoundFormat, path: string): Promise<Sound> {
  const decoder = await decoders[format]();
  const parts: Decoded[] = [];
  let frames = 0;
  const add = (part: Decoded) => {
    const [problem] = part.errors;
    if (problem) throw damagedSound(path, `it is a damaged ${format}: ${problem.message}`);
    if (part.samplesDecoded === 0) return;
    frames += part.samplesDecoded;
    const first = parts[0] ?? part;
    if (part.channelData.length !== first.channelData.length || part.sampleRate !== first.sampleRate)
      throw unsupportedSound(path, `it is a ${format} whose rate or number of channels changes on the way`);
    requireBounded(path, {
      channels: first.channelData.length,
      samplesPerSecond: first.sampleRate,
      frames,
    });
    parts.push(part);
  };
  try {
    await decoder.ready;
    for (let at = 0; at < bytes.length; at += pieceBytes)
      add(await decoder.decode(bytes.subarray(at, at + pieceBytes)));
    if (decoder.flush) add(await decoder.flush());
  } finally {
    decoder.free();
  }
  const [first] = parts;
  if (!first) throw damagedSound(path, `it is a damaged ${format}: it has no samples`);
  return {
    samplesPerSecond: first.sampleRate,
    channels: first.channelData.map((_, channel) => {
      const samples = new Float32Array(Math.min(frames, mostSamples));
      let at = 0;
      for (const { channelData, samplesDecoded, bitDepth } of parts) {
        samples.set(exact(channelData[channel]!.subarray(0, samplesDecoded), bitDepth), at);
        at += samplesDecoded;
      }
      return samples;
    }),
  };
}

/** The FLAC decoder divides integers by 2^(bits − 1) − 1, libsndfile by 2^(bits − 1). */
function exact(samples: Float32Array, bits: number | undefined): Float32Array {
  if (bits === undefined) return samples;
  const steps = 2 ** (bits - 1);
  return samples.map((sample) => Math.round(sample * (steps - 1)) / steps);
}
