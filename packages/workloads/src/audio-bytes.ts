/** Memory that sounds take: of the tower while it hears one, and of its output, which is kept. */
import { audioTokens, type ModelSpec } from '@contextlora/model';

/** A window in one layer of the tower, with its wave, spectrogram and what the convolutions read; 0 for a model without one. */
export function audioBytes({ audio }: ModelSpec): number {
  if (!audio) return 0;
  const { positions, melBins, hiddenSize, mlpSize, heads } = audio;
  const [samples, frames] = [positions * 320, 2 * positions];
  return (
    4 *
    (3 * samples +
      frames * (6 * melBins + 4 * hiddenSize) +
      positions * (12 * hiddenSize + 3 * mlpSize + heads * positions))
  );
}

/** The features of sounds of so many samples of 16 kHz. */
export const audioFeatureBytes = ({ audio, text }: ModelSpec, samples: Iterable<number>): number =>
  audio ? [...samples].reduce((sum, count) => sum + 4 * audioTokens(audio, count) * text.hiddenSize, 0) : 0;
