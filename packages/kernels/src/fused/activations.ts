/** Elementwise operations of the fast backends, one pass over memory each; slopes are recomputed, never kept. */
import type { Tensor2D } from '@contextlora/kernels/tfjs';

import type { GeluVariant, Kernels, Saved } from '../kernels.js';
import { requireChoice } from '../require-choice.js';
import { requireShape } from '../require-shape.js';
import type { FusedContext } from './context.js';
import { fewRows } from './few-rows.js';

interface PairSaved extends Saved {
  readonly gate: Tensor2D;
  readonly up: Tensor2D;
  /** Of geglu only. */
  readonly variant?: GeluVariant;
}

interface UnarySaved extends Saved {
  readonly x: Tensor2D;
  readonly variant: GeluVariant;
}

const nothing = () => undefined;
const codes = { tanh: 0, erf: 1, quick: 2 } as const satisfies Record<GeluVariant, number>;

type Activations = Pick<
  Kernels,
  'add' | 'swiglu' | 'swigluBackward' | 'geglu' | 'gegluBackward' | 'gelu' | 'geluBackward'
>;

/** With so many rows the backend's exponential saves more than its call costs; with fewer columns, or some over, a row would not always be rounded alike. */
const fewestColumns = 256;
const vectorColumns = 16;

export function fusedActivations({ heap, module, exponential }: FusedContext): Activations {
  const like = (x: Tensor2D) => heap.allocate(x.shape) as Tensor2D;
  const at = heap.address;
  /** Writes eˣ to the memory of a result where that is faster; returns 1 if it did, else 0. */
  const exponentialInto = (out: Tensor2D, x: Tensor2D): number => {
    const [rows, columns] = x.shape;
    if (!exponential || rows <= fewRows || columns < fewestColumns || columns % vectorColumns !== 0) return 0;
    exponential(x, out);
    return 1;
  };
  return {
    add(x, y) {
      requireShape('add', 'x', x, [null, null]);
      requireShape('add', 'y', y, x.shape);
      const out = like(x);
      module.add(at(x), at(y), at(out), x.size);
      return out;
    },

    swiglu(gate, up) {
      requireShape('swiglu', 'gate', gate, [null, null]);
      requireShape('swiglu', 'up', up, gate.shape);
      const y = like(gate);
      module.swiglu(at(gate), at(up), at(y), y.size, exponentialInto(y, gate));
      const saved: PairSaved = { gate, up, dispose: nothing };
      return { y, saved };
    },

    swigluBackward(dy, saved) {
      const { gate, up } = saved as PairSaved;
      requireShape('swigluBackward', 'dy', dy, gate.shape);
      const [dGate, dUp] = [like(gate), like(gate)];
      const given = exponentialInto(dUp, gate);
      module.swigluBackward(at(dy), at(gate), at(up), at(dGate), at(dUp), dy.size, given);
      return { dGate, dUp };
    },

    geglu(gate, up, variant) {
      requireShape('geglu', 'gate', gate, [null, null]);
      requireChoice('geglu', 'the variant', variant, Object.keys(codes));
      requireShape('geglu', 'up', up, gate.shape);
      const y = like(gate);
      module.geglu(at(gate), at(up), at(y), y.size, codes[variant]);
      const saved: PairSaved = { gate, up, variant, dispose: nothing };
      return { y, saved };
    },

    gegluBackward(dy, saved) {
      const { gate, up, variant = 'tanh' } = saved as PairSaved;
      requireShape('gegluBackward', 'dy', dy, gate.shape);
      const [dGate, dUp] = [like(gate), like(gate)];
      module.gegluBackward(at(dy), at(gate), at(up), at(dGate), at(dUp), dy.size, codes[variant]);
      return { dGate, dUp };
    },

    gelu(x, variant) {
      requireShape('gelu', 'x', x, [null, null]);
      requireChoice('gelu', 'the variant', variant, Object.keys(codes));
      const y = like(x);
      module.gelu(at(x), at(y), x.size, codes[variant]);
      const saved: UnarySaved = { x, variant, dispose: nothing };
      return { y, saved };
    },

    geluBackward(dy, saved) {
      const { x, variant } = saved as UnarySaved;
      requireShape('geluBackward', 'dy', dy, x.shape);
      const dx = like(x);
      module.geluBackward(at(dy), at(x), at(dx), x.size, codes[variant]);
      return dx;
    },
  };
}
