/** The optimizer that settings ask for. */
import type { OptimizerOptions } from '@contextlora/model';

import type { TrainConfig } from './train-config.js';

const keys = ['beta1', 'beta2', 'epsilon', 'momentum', 'nesterov', 'weightDecay'] as const;

/** The options that the settings give; the others keep their defaults. */
export function optimizerOfRun(settings: TrainConfig): OptimizerOptions {
  const { optimizer, clipNorm } = settings;
  return {
    ...(optimizer === undefined ? {} : { method: optimizer }),
    ...Object.fromEntries(keys.flatMap((key) => (settings[key] === undefined ? [] : [[key, settings[key]]]))),
    ...(clipNorm === undefined ? {} : { clipNorm: clipNorm === 'none' ? Infinity : clipNorm }),
  };
}
