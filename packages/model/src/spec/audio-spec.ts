/** The audio part of a config: a Whisper encoder and the layers that join it to the language model. */
import { samplesPerFrame } from '../sounds/log-mel.js';
import { type Config, type ConfigReader, readConfigNumbers, textOf } from './config-reader.js';
import { gelus } from './vision-spec.js';

export interface AudioSpec {
  /** Qwen2-Audio hears the sound alone and averages pairs of positions; Voxtral hears whole windows and joins several positions to a token. */
  readonly tower: 'qwen2_audio' | 'voxtral';
  readonly melBins: number;
  readonly hiddenSize: number;
  readonly mlpSize: number;
  readonly layerCount: number;
  readonly heads: number;
  readonly gelu: 'tanh' | 'erf' | 'quick';
  /** Positions of a window; each is two frames of the spectrogram. */
  readonly positions: number;
  /** The linears after the tower, by their run-time names; Voxtral's two have a gelu between them. */
  readonly projector: readonly AudioLinear[];
  readonly projectorGelu: 'tanh' | 'erf';
  readonly audioTokenId: number;
  /** The prefix of the tower's tensors. */
  readonly prefix: string;
}

interface AudioLinear {
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly bias: boolean;
}

/** Of every published tower, and of transformers' classes. */
export const audioEpsilon = 1e-5;

/** Samples of a window, 30 seconds in the published models. */
export const windowSamples = ({ positions }: Pick<AudioSpec, 'positions'>): number =>
  2 * positions * samplesPerFrame;

const harmlessOfWhole = ['ignore_index', 'vocab_size', 'hidden_size'];
const harmlessOfTower = ['encoder_layerdrop', 'layerdrop', 'vocab_size', 'tie_word_embeddings'];

/** Qwen2-Audio or Voxtral; absent numbers default to those of transformers' classes, which published files rely on. */
export function parseAudioSpec(
  whole: ConfigReader,
  audio: Config,
  { where, tower, hiddenSize: textSize }: { where: string; tower: AudioSpec['tower']; hiddenSize: number },
): AudioSpec {
  const read = readConfigNumbers(audio, `${where}: audio_config`);
  const type = read.value('model_type') ?? `${tower}_encoder`;
  if (type !== `${tower}_encoder`)
    read.refuse(`a "${textOf(type)}" tower is not supported; ${tower} models need a ${tower}_encoder`);
  // Whisper's own names, or the usual ones.
  const either = (key: string, other: string, fallback: number, most: number) =>
    read.count(key, { fallback: read.count(other, { fallback, most }), most });
  const hiddenSize = either('d_model', 'hidden_size', 1280, 2 ** 16);
  const mlpSize = either('encoder_ffn_dim', 'intermediate_size', 5120, 2 ** 18);
  const layerCount = either('encoder_layers', 'num_hidden_layers', 32, 2 ** 10);
  const heads = either('encoder_attention_heads', 'num_attention_heads', 20, 2 ** 10);
  if (hiddenSize % heads !== 0) read.refuse(`${hiddenSize} features do not divide into ${heads} heads`);
  for (const [key, only] of [
    ['head_dim', hiddenSize / heads],
    ['num_key_value_heads', heads],
  ] as const)
    if ((read.value(key) ?? only) !== only)
      read.refuse(`"${key}" is ${textOf(read.value(key))}, and the tower has ${only}`);
  const positions = read.count('max_source_positions', { fallback: 1500, most: 2 ** 16 });
  const spec: AudioSpec = {
    tower,
    melBins: read.count('num_mel_bins', { fallback: 128, most: 201 }),
    hiddenSize,
    mlpSize,
    layerCount,
    heads,
    gelu: geluOf(read, 'activation_function'),
    positions,
    projector: projectorOf(tower, { hiddenSize, mlpSize, textSize }),
    projectorGelu: tower === 'voxtral' ? projectorGelu(whole) : 'erf',
    audioTokenId: whole.count('audio_token_id', {
      fallback: whole.count('audio_token_index', { fallback: tower === 'voxtral' ? 24 : 151_646 }),
    }),
    prefix: 'model.audio_tower.',
  };
  if (tower === 'voxtral' && (positions * hiddenSize) % mlpSize !== 0)
    read.refuse(`${positions} positions of ${hiddenSize} features do not divide into tokens of ${mlpSize}`);
  whole.refuseOthers(harmlessOfWhole);
  read.refuseOthers(harmlessOfTower);
  whole.done();
  read.done();
  return spec;
}

function projectorOf(
  tower: AudioSpec['tower'],
  { hiddenSize, mlpSize, textSize }: { hiddenSize: number; mlpSize: number; textSize: number },
): readonly AudioLinear[] {
  const linear = (name: string, inFeatures: number, bias: boolean): AudioLinear => ({
    name: `model.multi_modal_projector.${name}`,
    inFeatures,
    outFeatures: textSize,
    bias,
  });
  return tower === 'qwen2_audio'
    ? [linear('linear', hiddenSize, true)]
    : [linear('linear_1', mlpSize, false), linear('linear_2', textSize, false)];
}

function geluOf(read: ConfigReader, key: string): AudioSpec['gelu'] {
  const name = textOf(read.value(key) ?? 'gelu');
  const gelu = Object.hasOwn(gelus, name) ? gelus[name] : undefined;
  if (gelu === undefined)
    read.refuse(`"${key}" is "${name}"; ${Object.keys(gelus).join(', ')} are supported`);
  return gelu ?? 'erf';
}

function projectorGelu(whole: ConfigReader): 'tanh' | 'erf' {
  const gelu = geluOf(whole, 'projector_hidden_act');
  if (gelu === 'quick') whole.refuse('"projector_hidden_act" is quick_gelu, which is not supported');
  return gelu === 'tanh' ? 'tanh' : 'erf';
}

/** Tokens that a sound of this many samples of 16 kHz becomes; 0 if Qwen2-Audio does not hear it at all. */
export function audioTokens(spec: AudioSpec, samples: number): number {
  const { tower, positions, hiddenSize, mlpSize } = spec;
  if (tower === 'voxtral')
    return Math.max(1, Math.ceil(samples / windowSamples(spec))) * ((positions * hiddenSize) / mlpSize);
  return Math.floor(audioPositions(spec, samples) / 2);
}

/** Positions of the encoder that a sound fills: all of every window that it begins in Voxtral, its own in Qwen2-Audio. */
export function audioPositions({ tower, positions }: AudioSpec, samples: number): number {
  if (tower === 'voxtral') return positions;
  const frames = Math.min(Math.ceil(samples / samplesPerFrame), 2 * positions);
  return Math.floor((frames + 1) / 2);
}
