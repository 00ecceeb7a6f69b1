/**
 * Reads WAV files: integers of 8, 16, 24 and 32 bits and floats of 32 and 64, also in the extensible form.
 *
 * Integers are divided by 2^(bits − 1) for both signs, as libsndfile does; the packages that were looked at divide positive ones by one less.
 */
import { damagedSound, requireBounded, type Sound, unsupportedSound } from './sound.js';

interface WavFormat {
  readonly encoding: 'integer' | 'float';
  readonly bits: number;
  readonly channels: number;
  readonly samplesPerSecond: number;
}

const encodings: Readonly<Record<number, WavFormat['encoding']>> = { 1: 'integer', 3: 'float' };
const [extensible, unknownLength] = [0xfffe, 0xffffffff];

/** @throws ModelError when the file is damaged, cut short, too long or of another encoding. */
export function readWav(bytes: Buffer, path: string): Sound {
  const { format, data } = readChunks(bytes, path);
  const { channels, bits, samplesPerSecond } = format;
  const frameBytes = (channels * bits) / 8;
  const frames = Math.floor(data.length / frameBytes);
  requireBounded(path, { channels, samplesPerSecond, frames });
  const read = sampleReader(format, data);
  return {
    samplesPerSecond,
    channels: Array.from({ length: channels }, (_, channel) => {
      const samples = new Float32Array(frames);
      for (let i = 0; i < frames; i++) samples[i] = read(i * frameBytes + (channel * bits) / 8);
      return samples;
    }),
  };
}

function readChunks(bytes: Buffer, path: string): { format: WavFormat; data: Buffer } {
  let format: WavFormat | undefined;
  for (let start = 12; start + 8 <= bytes.length;) {
    const [name, length] = [bytes.toString('latin1', start, start + 4), bytes.readUInt32LE(start + 4)];
    const body = start + 8;
    // A program that writes to a pipe does not know the length.
    const end = name === 'data' && length === unknownLength ? bytes.length : body + length;
    if (end > bytes.length) throw damagedSound(path, 'it is a WAV that is cut short');
    if (name === 'fmt ') format = readFormat(bytes.subarray(body, end), path);
    if (name === 'data') {
      if (!format) throw damagedSound(path, 'it is a damaged WAV: its samples come before their format');
      return { format, data: bytes.subarray(body, end) };
    }
    // A chunk of odd length is followed by a byte of padding.
    start = end + (length % 2);
  }
  throw damagedSound(path, 'it is a damaged WAV: it has no samples');
}

function readFormat(chunk: Buffer, path: string): WavFormat {
  if (chunk.length < 16) throw damagedSound(path, 'it is a damaged WAV: its format is cut short');
  const outer = chunk.readUInt16LE(0);
  const tag = outer === extensible && chunk.length >= 26 ? chunk.readUInt16LE(24) : outer;
  const [channels, bits] = [chunk.readUInt16LE(2), chunk.readUInt16LE(14)];
  const encoding = encodings[tag];
  if (encoding === undefined || !(encoding === 'float' ? [32, 64] : [8, 16, 24, 32]).includes(bits))
    throw unsupportedSound(path, `it is a WAV of encoding ${tag} with ${bits} bits per sample`);
  if (channels > 0 && chunk.readUInt16LE(12) !== (channels * bits) / 8)
    throw damagedSound(path, 'it is a damaged WAV: its frames have another size than their samples');
  return { encoding, bits, channels, samplesPerSecond: chunk.readUInt32LE(4) };
}

function sampleReader({ encoding, bits }: WavFormat, data: Buffer): (at: number) => number {
  if (encoding === 'float') return bits === 64 ? (at) => data.readDoubleLE(at) : (at) => data.readFloatLE(at);
  if (bits === 8) return (at) => (data.readUInt8(at) - 128) / 128;
  const [size, divisor] = [bits / 8, 2 ** (bits - 1)];
  return (at) => data.readIntLE(at, size) / divisor;
}
