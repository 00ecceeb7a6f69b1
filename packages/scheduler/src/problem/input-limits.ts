/** More than this is a mistake or an attack: planning would not end. */
export const inputLimits = {
  devices: 10_000,
  layers: 10_000,
  workloads: 1_000,
  links: 1_000_000,
  samples: 1_000_000,
  modes: 64,
};
