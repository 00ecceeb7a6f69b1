/**
 * Whisper's log-mel spectrogram (transformers, feature_extraction_whisper.py), computed in float64: windows of 400 samples of 16 kHz every
 * 160, reflected at both ends, Slaney's mel filters up to 8 kHz.
 */
import { powerSpectrum, spectrumSize, windowSize } from './power-spectrum.js';

export const samplesPerSecond = 16_000;
export const samplesPerFrame = 160;

/**
 * The spectrogram `[samples / 160, bins]` of a wave whose length is a multiple of 160: log10, at most 8 below the largest value, then
 * (x + 4) / 4.
 */
export function logMel(wave: Float32Array, bins: number): Float32Array {
  const frames = Math.floor(wave.length / samplesPerFrame);
  const filters = melFilters(bins);
  const logs = new Float64Array(frames * bins).fill(-10);
  const frame = new Float64Array(windowSize);
  const power = new Float64Array(spectrumSize);
  let largest = frames > 0 ? -10 : 0;
  for (let i = 0; i < frames; i++) {
    // Padding is silent, and its spectrum known.
    if (!readFrame(wave, i * samplesPerFrame - windowSize / 2, frame)) continue;
    powerSpectrum(frame, power);
    for (const [bin, { first, weights }] of filters.entries()) {
      let sum = 0;
      for (const [k, weight] of weights.entries()) sum += power[first + k]! * weight;
      const log = Math.log10(Math.max(sum, 1e-10));
      logs[i * bins + bin] = log;
      largest = Math.max(largest, log);
    }
  }
  return Float32Array.from(logs, (log) => (Math.max(log, largest - 8) + 4) / 4);
}

/** Hann's window without its last, equal end. */
const hann = Float64Array.from(
  { length: windowSize },
  (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / windowSize),
);

/** Writes one windowed frame of the wave, reflected beyond its ends, into `frame`; returns whether any sample is not 0. */
function readFrame(wave: Float32Array, start: number, frame: Float64Array): boolean {
  const last = wave.length - 1;
  let isSilent = true;
  for (let k = 0; k < windowSize; k++) {
    const at = Math.abs(start + k);
    const sample = wave[at > last ? 2 * last - at : at] ?? 0;
    if (sample !== 0) isSilent = false;
    frame[k] = sample * hann[k]!;
  }
  return !isSilent;
}

interface MelFilter {
  /** The first frequency with a weight, of the 201 from 0 to 8 kHz. */
  readonly first: number;
  readonly weights: Float64Array;
}

/** Triangles between points that are equally far apart in mel, each of area 1 (librosa, filters.mel with Slaney's scale and norm). */
function melFilters(bins: number): readonly MelFilter[] {
  const top = melOf(samplesPerSecond / 2);
  const edges = Array.from({ length: bins + 2 }, (_, i) => hertzOf((top * i) / (bins + 1)));
  return Array.from({ length: bins }, (_, bin) => {
    const [low = 0, middle = 0, high = 0] = edges.slice(bin, bin + 3);
    const weights = Float64Array.from({ length: spectrumSize }, (__, k) => {
      const hertz = (k * samplesPerSecond) / windowSize;
      const height = Math.min((hertz - low) / (middle - low), (high - hertz) / (high - middle));
      return (Math.max(0, height) * 2) / (high - low);
    });
    const first = Math.max(
      0,
      weights.findIndex((weight) => weight > 0),
    );
    const end = weights.findLastIndex((weight) => weight > 0) + 1;
    return { first, weights: weights.slice(first, end) };
  });
}

/** Slaney's scale: linear up to 1 kHz, then logarithmic. */
const [hertzPerMel, bend, step] = [200 / 3, 15, Math.log(6.4) / 27];
const hertzOf = (mel: number) =>
  mel < bend ? mel * hertzPerMel : bend * hertzPerMel * Math.exp(step * (mel - bend));
const melOf = (hertz: number) =>
  hertz < bend * hertzPerMel ? hertz / hertzPerMel : bend + Math.log(hertz / (bend * hertzPerMel)) / step;
