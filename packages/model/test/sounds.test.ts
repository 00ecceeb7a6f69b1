import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { logMel, type ModelError, readSound, readWave, resample } from '@contextlora/model';

import { fixture, Golden, worstDifference } from './golden.js';

const sound = (name: string) => fixture('sounds', name);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sounds-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** The message of the refusal of a file with these bytes. */
async function refusal(bytes: Uint8Array | string, name = 'a.wav'): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, bytes);
  return readSound(path).then(
    () => 'none',
    (error: unknown) => (error as ModelError).message.replace(path, name),
  );
}

describe('a sound file', () => {
  test.each([
    ['u8.wav', 1, 8000],
    ['s16-odd-chunk.wav', 1, 16000],
    ['s24-stereo.wav', 2, 48000],
    ['s32.wav', 1, 16000],
    ['f32.wav', 1, 44100],
    ['f64.wav', 1, 16000],
    ['sweep.flac', 1, 16000],
    ['sweep-stereo.flac', 2, 48000],
    ['sweep.ogg', 2, 44100],
    ['sweep.mp3', 2, 44100],
  ])('%s is read as libsndfile and soxr read it', async (name, channels, rate) => {
    const { samplesPerSecond, channels: found } = await readSound(sound(name));
    expect([found.length, samplesPerSecond]).toEqual([channels, rate]);
    const golden = await Golden.read('sounds', 'expected.safetensors');
    const wave = await readWave(sound(name));
    const expected = golden.floats(`wave.${name}`);
    // At 16 kHz nothing is resampled.
    expect(worstDifference(wave, expected)).toBeLessThanOrEqual(rate === 16000 ? 0 : 2e-3);
  });

  test('is known by its content and not by its name', async () => {
    expect(await refusal(await readFile(sound('sweep.flac')), 'flac.mp3')).toBe('none');
    expect(await refusal('\x89PNG', 'picture.wav')).toMatch(
      /^model\/readSound: cannot read picture\.wav as a sound: it is a file of another kind; WAV, FLAC/,
    );
    expect(await refusal('')).toContain('it is an empty file');
    expect(await refusal(await readFile(sound('sweep.opus.ogg')))).toContain('it is an Ogg of Opus');
  });

  test('that is cut short or damaged is refused', async () => {
    const wav = await readFile(sound('s32.wav'));
    expect(await refusal(wav.subarray(0, wav.length - 1))).toContain('it is a WAV that is cut short');
    expect(await refusal(wav.subarray(0, 36))).toContain('it has no samples');
    for (const name of ['sweep.flac', 'sweep.ogg', 'sweep.mp3']) {
      const bytes = await readFile(sound(name));
      expect(await refusal(bytes.subarray(0, 400), name)).toContain('damaged');
    }
  });

  test('with too many channels, a rate that no sound has or unknown samples is refused', async () => {
    const wav = Buffer.from(await readFile(sound('s16-odd-chunk.wav')));
    const changed = (at: number, value: number) => {
      const bytes = Buffer.from(wav);
      bytes.writeUInt16LE(value, at);
      return bytes;
    };
    const nine = changed(22, 9);
    nine.writeUInt16LE(18, 32);
    expect(await refusal(nine)).toContain('it has 9 channels, and 1 to 8 are read');
    expect(await refusal(changed(24, 0))).toContain('it has 0 samples per second');
    expect(await refusal(changed(20, 7))).toContain('it is a WAV of encoding 7 with 16 bits per sample');
    const float = Buffer.from(await readFile(sound('f32.wav')));
    float.writeFloatLE(NaN, float.length - 4);
    expect(await refusal(float)).toContain('it has samples that are not finite numbers');
  });

  test('that a few bytes blow up to hours is refused before it fills the memory', async () => {
    const bytes = silentFlac(400);
    expect(bytes.length).toBeLessThan(20_000);
    expect(await refusal(bytes, 'bomb.flac')).toContain('minutes of such a sound are read');
    // The same with fewer frames is a sound.
    expect(await refusal(silentFlac(2), 'short.flac')).toBe('none');
  });
});

/** A FLAC of eight silent channels (RFC 9639), 65,535 samples in each frame of 38 bytes. */
function silentFlac(frames: number): Buffer {
  const information = Buffer.alloc(42);
  information.write('fLaC', 'latin1');
  information.writeUInt32BE(0x80000022, 4);
  information.writeUInt16BE(65_535, 8);
  information.writeUInt16BE(65_535, 10);
  // Rate in 20 bits, channels − 1 in 3, bits − 1 in 5; the number of samples is unknown.
  information.writeUInt32BE(((48_000 << 12) | (7 << 9) | (15 << 4)) >>> 0, 18);
  const crc = (bytes: Buffer, width: number, polynomial: number) => {
    let rest = 0;
    for (const byte of bytes) {
      rest ^= byte << (width - 8);
      for (let bit = 0; bit < 8; bit++) rest = (rest << 1) ^ ((rest >> (width - 1)) & 1 ? polynomial : 0);
      rest &= 2 ** width - 1;
    }
    return rest;
  };
  const parts = Array.from({ length: frames }, (_, i) => {
    const number = i < 128 ? [i] : [0xc0 | (i >> 6), 0x80 | (i & 63)];
    const head = Buffer.from([0xff, 0xf8, 0x7a, 0x78, ...number, 0xff, 0xfe]);
    const body = Buffer.concat([head, Buffer.from([crc(head, 8, 0x07)]), Buffer.alloc(8 * 3)]);
    const check = Buffer.alloc(2);
    check.writeUInt16BE(crc(body, 16, 0x8005));
    return Buffer.concat([body, check]);
  });
  return Buffer.concat([information, ...parts]);
}

describe('resampling', () => {
  test('keeps tones below the lower half rate, and none above', () => {
    const tone = (hertz: number, rate: number, seconds = 0.2) =>
      Float32Array.from({ length: rate * seconds }, (_, i) => Math.sin((2 * Math.PI * hertz * i) / rate));
    const middle = (values: Float32Array) => values.subarray(values.length * 0.25, values.length * 0.75);
    for (const [from, to] of [
      [44100, 16000],
      [8000, 16000],
      [22050, 16000],
    ] as const) {
      const made = resample(tone(1000, from), from, to);
      expect(made.length).toBe(Math.ceil((from * 0.2 * to) / from));
      expect(worstDifference(middle(made), middle(tone(1000, to)))).toBeLessThan(1e-4);
    }
    expect(Math.max(...middle(resample(tone(12_000, 44100), 44100, 16000)).map(Math.abs))).toBeLessThan(1e-4);
  });

  test('refuses rates that it cannot filter by', () => {
    expect(() => resample(new Float32Array(9), 191_999, 16_000)).toThrow(
      /191999 samples per second cannot be resampled/,
    );
  });
});

describe('the log-mel spectrogram', () => {
  test.each([80, 128])('with %i bins is that of transformers', async (bins) => {
    const golden = await Golden.read('sounds', 'expected.safetensors');
    const wave = new Float32Array(16_000);
    wave.set(await readWave(sound('sweep.flac')));
    const mel = logMel(wave, bins);
    expect(mel.length).toBe(100 * bins);
    const expected = golden.floats(`mel${bins}`);
    const differences = Array.from(expected, (value, i) => Math.abs(value - mel[i]!));
    // Of single numbers the reference, in float32, is itself up to 1e-4 wrong where it is quiet.
    expect(Math.max(...differences)).toBeLessThan(1e-4);
    expect(differences.reduce((sum, one) => sum + one, 0) / differences.length).toBeLessThan(1e-6);
  });

  test('of silence is everywhere the same', () => {
    expect(new Set(logMel(new Float32Array(1600), 8))).toEqual(new Set([-1.5]));
  });
});
