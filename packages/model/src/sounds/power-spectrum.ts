/** The power spectrum of 400 real samples, as 20 transforms of 20 samples that are then combined (Cooley and Tukey). */

export const windowSize = 400;
/** Frequencies from 0 to half the rate. */
export const spectrumSize = windowSize / 2 + 1;

const root = 20;
const cosines = Float64Array.from({ length: windowSize }, (_, i) => Math.cos((2 * Math.PI * i) / windowSize));
const sines = Float64Array.from({ length: windowSize }, (_, i) => -Math.sin((2 * Math.PI * i) / windowSize));

/** Writes |X|² of the frequencies into `power`. */
export function powerSpectrum(frame: Float64Array, power: Float64Array): void {
  // Of every 20th sample from n on, the transform at k; both real and imaginary parts.
  const [re, im] = [new Float64Array(windowSize), new Float64Array(windowSize)];
  for (let n = 0; n < root; n++)
    for (let k = 0; k < root; k++) {
      let [real, imaginary] = [0, 0];
      for (let m = 0; m < root; m++) {
        const turn = (m * k * root) % windowSize;
        const sample = frame[m * root + n]!;
        real += sample * cosines[turn]!;
        imaginary += sample * sines[turn]!;
      }
      re[n * root + k] = real;
      im[n * root + k] = imaginary;
    }
  for (let k = 0; k < spectrumSize; k++) {
    let [real, imaginary] = [0, 0];
    for (let n = 0; n < root; n++) {
      const turn = (n * k) % windowSize;
      const at = n * root + (k % root);
      real += re[at]! * cosines[turn]! - im[at]! * sines[turn]!;
      imaginary += re[at]! * sines[turn]! + im[at]! * cosines[turn]!;
    }
    power[k] = real * real + imaginary * imaginary;
  }
}
