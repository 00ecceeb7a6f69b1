/** Checks a model directory's audio processor: its settings are those of Whisper's, and agree with config.json. */
import { join } from 'node:path';

import type { AudioSpec } from '../spec/audio-spec.js';
import { windowSamples } from '../spec/audio-spec.js';
import { partOf, readConfigNumbers, textOf } from '../spec/config-reader.js';
import { readJsonObject } from '../spec/read-json.js';
import { samplesPerFrame, samplesPerSecond } from './log-mel.js';
import { windowSize } from './power-spectrum.js';

/** Names, and forms of the result. */
const withoutEffect = [
  'processor_class',
  'return_attention_mask',
  'audio_processor_type',
  'feature_extractor',
];

/**
 * Reads the `feature_extractor` of processor_config.json, else preprocessor_config.json, as transformers does.
 *
 * @throws ModelError listing every setting that is not supported or disagrees with config.json.
 */
export async function checkAudioProcessor(directory: string, audio: AudioSpec): Promise<void> {
  const whole = join(directory, 'processor_config.json');
  const processor = await readJsonObject(whole, 'readModelSpec');
  const part = processor && partOf(processor, 'feature_extractor');
  const own = join(directory, 'preprocessor_config.json');
  const config = part ?? (await readJsonObject(own, 'readModelSpec'));
  if (!config) return;
  const read = readConfigNumbers(config, part ? `${whole}: feature_extractor` : own, {
    parser: 'readModelSpec',
  });
  const samples = windowSamples(audio);
  const only: Readonly<Record<string, number | string | boolean>> = {
    feature_extractor_type: 'WhisperFeatureExtractor',
    feature_size: audio.melBins,
    chunk_length: samples / samplesPerSecond,
    n_samples: samples,
    nb_max_frames: samples / samplesPerFrame,
    n_fft: windowSize,
    hop_length: samplesPerFrame,
    sampling_rate: samplesPerSecond,
    padding_side: 'right',
    padding_value: 0,
    dither: 0,
    do_normalize: false,
  };
  for (const [key, expected] of Object.entries(only)) {
    const value = read.value(key) ?? expected;
    if (value !== expected)
      read.refuse(`"${key}" is ${textOf(value)}, and only ${textOf(expected)} is supported for this tower`);
  }
  read.refuseOthers(withoutEffect);
  read.done();
}
