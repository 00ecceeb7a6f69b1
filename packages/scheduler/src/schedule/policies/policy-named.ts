/** The package's own policies, found again by the names that plans carry. */
import {
  contextGear,
  contextGearAlternating,
  contextGearAt,
  contextGearDeep,
  contextGearFull,
} from './context-gear.js';
import { gpipe } from './gpipe.js';
import { lorapp } from './lorapp.js';
import { oneForwardOneBackward, oneForwardOneBackwardDeep } from './one-forward-one-backward.js';
import type { Policy } from './policy.js';

const fixed: readonly Policy[] = [
  contextGear,
  contextGearDeep,
  contextGearFull,
  gpipe,
  lorapp,
  oneForwardOneBackward,
  oneForwardOneBackwardDeep,
];

/** Policies whose names end in the depth of each stage, such as `ContextGear/3,1`. */
const byDepth = new Map([
  ['ContextGear', contextGearAt],
  ['ContextGear, alternating', contextGearAlternating],
]);

/** Undefined for a name that is not one of the package's. */
export function policyNamed(name: string): Policy | undefined {
  const [, family, depths] = /^(ContextGear.*)\/([1-9]\d*(?:,[1-9]\d*)*)$/.exec(name) ?? [];
  if (family !== undefined) return byDepth.get(family)?.(depths!.split(',').map(Number));
  return fixed.find((policy) => policy.name === name);
}
