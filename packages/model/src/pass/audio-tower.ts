/** The audio towers of Qwen2-Audio and Voxtral, Whisper's encoder and a projector, forward only: they are frozen, so their output can be stored per sound. */
import type { Kernels, LinearWeight } from '@contextlora/kernels';
import * as tf from '@contextlora/kernels/tfjs';

import { audioEpsilon, audioPositions, type AudioSpec, windowSamples } from '../spec/audio-spec.js';
import { logMel } from '../sounds/log-mel.js';
import { encoderLayer, type EncoderLayerWeights, type LayerNormWeights } from './encoder-layer.js';
import type { SegmentsByLinear } from './segments.js';

export interface AudioWeights {
  /** The convolutions over three positions as matrices `[hidden, 3 · in]`, the inputs of a position side by side. */
  readonly conv1: LinearWeight;
  readonly conv2: LinearWeight;
  /** `[positions, hidden]` */
  readonly positions: Float32Array;
  readonly layers: readonly EncoderLayerWeights[];
  readonly lastNorm: LayerNormWeights;
  readonly projector: readonly LinearWeight[];
  /** What an adapter adds to linears of the tower and of the projector, by their full names. */
  readonly segments?: SegmentsByLinear;
}

interface Tower {
  readonly spec: AudioSpec;
  readonly kernels: Kernels;
}

/** A wave of 16 kHz → what stands for its tokens in the language model, `[tokens, hidden of the language model]`. */
export async function audioFeatures(
  wave: Float32Array,
  weights: AudioWeights,
  { spec, kernels }: Tower,
): Promise<Float32Array> {
  const windows = spec.tower === 'voxtral' ? Math.max(1, Math.ceil(wave.length / windowSamples(spec))) : 1;
  const padded = new Float32Array(windows * windowSamples(spec));
  padded.set(wave.subarray(0, padded.length));
  // One spectrogram of all windows: its largest value counts in each.
  const mel = logMel(padded, spec.melBins);
  const size = mel.length / windows;
  const positions = audioPositions(spec, wave.length);
  const parts: Float32Array[] = [];
  for (let i = 0; i < windows; i++)
    parts.push(
      await windowFeatures(mel.subarray(i * size, (i + 1) * size), weights, { spec, kernels, positions }),
    );
  const features = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    features.set(part, at);
    at += part.length;
  }
  return features;
}

/** A window's spectrogram `[frames, bins]`, of which a sound fills so many positions, → `[tokens, hidden of the language model]`. */
export async function windowFeatures(
  mel: Float32Array,
  weights: AudioWeights,
  { spec, kernels, positions }: Tower & { readonly positions: number },
): Promise<Float32Array> {
  const tokens = tf.tidy(() =>
    projected(audioTower(mel, weights, { spec, kernels, positions }), weights, { spec, kernels }),
  );
  const features = (await tokens.data()) as Float32Array;
  tokens.dispose();
  return features;
}

/**
 * A window's spectrogram `[frames, bins]` → hidden states: `[positions / 2, hidden]` in Qwen2-Audio, averaged over pairs, and
 * `[positions, hidden]` in Voxtral.
 *
 * Only the first `positions` are computed, because no other position sees those beyond the end of a sound.
 */
export function audioTower(
  mel: Float32Array,
  weights: AudioWeights,
  { spec, kernels, positions }: Tower & { readonly positions: number },
): tf.Tensor2D {
  const { hiddenSize, heads, melBins, gelu, prefix } = spec;
  const shape = {
    batch: 1,
    time: positions,
    heads,
    kvHeads: heads,
    headDim: hiddenSize / heads,
    causal: false,
  };
  return tf.tidy(() => {
    const first = kernels.gelu(
      kernels.linear(threeFrames(mel, melBins, 2 * positions), weights.conv1).y,
      gelu,
    ).y;
    const second = kernels.gelu(kernels.linear(threeRows(first, kernels), weights.conv2).y, gelu).y;
    let x = kernels.add(
      second,
      tf.tensor2d(weights.positions.subarray(0, positions * hiddenSize), [positions, hiddenSize]),
    );
    for (const [layerIndex, layer] of weights.layers.entries())
      x = encoderLayer(x, layer, {
        kernels,
        shape,
        epsilon: audioEpsilon,
        gelu,
        segmentsOf: (linear) => weights.segments?.get(`${prefix}layers.${layerIndex}.${linear}`),
      });
    const { gain, bias } = weights.lastNorm;
    if (spec.tower === 'voxtral') return kernels.layerNorm(x, gain, bias, audioEpsilon).y;
    // The norm of a mean of two is that of their sum with four times the epsilon.
    const half = Math.floor(positions / 2);
    const everySecond = (from: number) =>
      kernels.gatherRows(
        x,
        Int32Array.from({ length: half }, (_, i) => 2 * i + from),
      );
    return kernels.layerNorm(kernels.add(everySecond(0), everySecond(1)), gain, bias, 4 * audioEpsilon).y;
  });
}

/** Row t: the frames t − 1, t and t + 1, zero beyond the ends. */
function threeFrames(mel: Float32Array, bins: number, rows: number): tf.Tensor2D {
  const all = new Float32Array(rows * 3 * bins);
  for (let t = 0; t < rows; t++)
    all.set(mel.subarray(Math.max(0, t - 1) * bins, (t + 2) * bins), (3 * t + (t === 0 ? 1 : 0)) * bins);
  return tf.tensor2d(all, [rows, 3 * bins]);
}

/** Row t: the rows 2t − 1, 2t and 2t + 1 of x, zero before the first. */
function threeRows(x: tf.Tensor2D, kernels: Kernels): tf.Tensor2D {
  const [rows, features] = x.shape;
  const withZero = tf.concat2d([x, tf.zeros([1, features])], 0);
  const indices = Int32Array.from({ length: (rows / 2) * 3 }, (_, i) => {
    const at = 2 * Math.floor(i / 3) - 1 + (i % 3);
    return at < 0 ? rows : at;
  });
  return tf.reshape<tf.Rank.R2>(kernels.gatherRows(withZero, indices), [rows / 2, 3 * features]);
}

function projected(hidden: tf.Tensor2D, weights: AudioWeights, { spec, kernels }: Tower): tf.Tensor2D {
  const [first, ...others] = spec.projector.map(({ name }, i) => ({ name, weight: weights.projector[i]! }));
  const linear = (x: tf.Tensor2D, { name, weight }: { name: string; weight: LinearWeight }) =>
    kernels.linear(x, weight, weights.segments?.get(name)).y;
  let x = linear(tf.reshape<tf.Rank.R2>(hidden, [-1, spec.projector[0]!.inFeatures]), first!);
  for (const next of others) x = linear(kernels.gelu(x, spec.projectorGelu).y, next);
  return x;
}
