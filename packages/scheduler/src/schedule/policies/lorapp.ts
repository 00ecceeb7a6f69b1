/**
 * LoRAPP (mLoRA, VLDB'25, section 4): adapters over one frozen base follow each other through the pipeline and fill each other's
 * bubbles, none using stale parameters; one fused backward pass. Bubble max((D − L) / D, 0) for L adapters on D equal devices.
 */
import { listSchedule } from './list-scheduling.js';
import type { Policy } from './policy.js';

export const lorapp: Policy = {
  name: 'LoRAPP',
  fusedBackward: true,
  order: (context) => listSchedule(context, { inFlight: () => Infinity, fusedBackward: true }),
};
