/** The fused graphs of the fast ground. Formulas are those of the reference ground; names of inputs and outputs are the contract. */
import type { OnnxGraph, OnnxNode } from './onnx-model.js';

const microsoft = 'com.microsoft' as const;
type Attributes = NonNullable<OnnxNode['attributes']>;

const node = (
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Attributes = {},
): OnnxNode => ({ op, inputs, outputs, attributes });
const fused = (
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Attributes = {},
): OnnxNode => ({ op, inputs, outputs, attributes, domain: microsoft });
const transposeB: Attributes = { transB: { int: 1 } };
const transposeA: Attributes = { transA: { int: 1 } };

const range = (count: number) => Array.from({ length: count }, (_, i) => i);
const floats = (names: readonly string[]) =>
  Object.fromEntries(names.map((name) => [name, 'float32' as const]));

/** y = x Wᵀ (+ bias) + Σ hᵢ Bᵢᵀ, hᵢ = sᵢ · x Aᵢᵀ. In: x, w, bias?, aᵢ, bᵢ, sᵢ. Out: y, hᵢ. */
export function linearGraph(segments: number, bias: boolean): OnnxGraph {
  const last = segments - 1;
  const name = (i: number) => (i === last ? 'y' : `y${i}`);
  return {
    nodes: [
      node('Gemm', bias ? ['x', 'w', 'bias'] : ['x', 'w'], [segments === 0 ? 'y' : 'base'], transposeB),
      ...range(segments).flatMap((i) => [
        node('Gemm', ['x', `a${i}`], [`u${i}`], transposeB),
        node('Mul', [`u${i}`, `s${i}`], [`h${i}`]),
        node('Gemm', [`h${i}`, `b${i}`, i === 0 ? 'base' : name(i - 1)], [name(i)], transposeB),
      ]),
    ],
    inputs: floats([
      'x',
      'w',
      ...(bias ? ['bias'] : []),
      ...range(segments).flatMap((i) => [`a${i}`, `b${i}`, `s${i}`]),
    ]),
    outputs: ['y', ...range(segments).map((i) => `h${i}`)],
  };
}

/**
 * dx = dy W + Σ dhᵢ Aᵢ, dhᵢ = sᵢ · dy Bᵢ; daᵢ = dhᵢᵀ x, dbᵢ = dyᵀ hᵢ for the trained.
 *
 * In: dy, w and aᵢ if the input gradient is owed, x and hᵢ for the trained, bᵢ, sᵢ. Out: dx if owed, daᵢ, dbᵢ of the trained.
 */
export function linearBackwardGraph(trained: readonly boolean[], input: boolean): OnnxGraph {
  const used = range(trained.length).filter((i) => input || trained[i]);
  const training = used.filter((i) => trained[i]);
  const nodes: OnnxNode[] = [];
  let sum = 'dx';
  if (input) {
    sum = used.length === 0 ? 'dx' : 'base';
    nodes.push(node('Gemm', ['dy', 'w'], [sum]));
  }
  for (const [order, i] of used.entries()) {
    nodes.push(node('Gemm', ['dy', `b${i}`], [`v${i}`]), node('Mul', [`v${i}`, `s${i}`], [`dh${i}`]));
    if (input) {
      const next = order === used.length - 1 ? 'dx' : `dx${i}`;
      nodes.push(node('Gemm', [`dh${i}`, `a${i}`, sum], [next]));
      sum = next;
    }
    if (trained[i])
      nodes.push(
        node('Gemm', [`dh${i}`, 'x'], [`da${i}`], transposeA),
        node('Gemm', ['dy', `h${i}`], [`db${i}`], transposeA),
      );
  }
  return {
    nodes,
    inputs: floats([
      'dy',
      ...(input ? ['w'] : []),
      ...(training.length > 0 ? ['x'] : []),
      ...used.flatMap((i) => [
        `b${i}`,
        `s${i}`,
        ...(input ? [`a${i}`] : []),
        ...(trained[i] ? [`h${i}`] : []),
      ]),
    ]),
    outputs: [...(input ? ['dx'] : []), ...training.flatMap((i) => [`da${i}`, `db${i}`])],
  };
}

/** In: x, g. Out: y, q (1 / root mean square). */
export const rmsNormGraph = (epsilon: number): OnnxGraph => ({
  nodes: [
    node('SimplifiedLayerNormalization', ['x', 'g'], ['y', 'q'], {
      epsilon: { float: epsilon },
      axis: { int: -1 },
    }),
  ],
  inputs: floats(['x', 'g']),
  outputs: ['y', 'q'],
});

/** dx = q (dy·g − n · mean(dy·g·n)), n = x q. In: dy, x, q, g. */
export const rmsNormBackwardGraph: OnnxGraph = {
  nodes: [
    node('Mul', ['dy', 'g'], ['dn']),
    node('Mul', ['x', 'q'], ['n']),
    node('Mul', ['dn', 'n'], ['product']),
    node('ReduceMean', ['product'], ['mean'], { axes: { ints: [-1] }, keepdims: { int: 1 } }),
    node('Mul', ['n', 'mean'], ['along']),
    node('Sub', ['dn', 'along'], ['across']),
    node('Mul', ['across', 'q'], ['dx']),
  ],
  inputs: floats(['dy', 'x', 'q', 'g']),
  outputs: ['dx'],
};

/** In: x, g, b. Out: y, mean, q (1 / deviation). */
export const layerNormGraph = (epsilon: number): OnnxGraph => ({
  nodes: [
    node('LayerNormalization', ['x', 'g', 'b'], ['y', 'mean', 'q'], {
      epsilon: { float: epsilon },
      axis: { int: -1 },
    }),
  ],
  inputs: floats(['x', 'g', 'b']),
  outputs: ['y', 'mean', 'q'],
});

/** y = g·σ(g)·u. In: g, u. */
export const swigluGraph: OnnxGraph = {
  nodes: [
    node('Sigmoid', ['g'], ['s']),
    node('Mul', ['g', 's'], ['silu']),
    node('Mul', ['silu', 'u'], ['y']),
  ],
  inputs: floats(['g', 'u']),
  outputs: ['y'],
};

/** du = dy·silu, dg = dy·u·(σ + silu·(1 − σ)). In: dy, g, u. */
export const swigluBackwardGraph: OnnxGraph = {
  nodes: [
    node('Sigmoid', ['g'], ['s']),
    node('Mul', ['g', 's'], ['silu']),
    node('Mul', ['dy', 'silu'], ['du']),
    node('Sub', ['one', 's'], ['rest']),
    node('Mul', ['silu', 'rest'], ['curve']),
    node('Add', ['curve', 's'], ['slope']),
    node('Mul', ['dy', 'u'], ['e']),
    node('Mul', ['e', 'slope'], ['dg']),
  ],
  inputs: floats(['dy', 'g', 'u']),
  outputs: ['dg', 'du'],
  scalars: { one: 1 },
};

/** y = x/2 (1 + tanh(√(2/π)(x + 0.044715 x³))). In: x. */
export const geluTanhGraph: OnnxGraph = {
  nodes: [fused('FastGelu', ['x'], ['y'])],
  inputs: floats(['x']),
  outputs: ['y'],
};

/** y = x/2 (1 + erf(x/√2)). In: x. */
export const geluErfGraph: OnnxGraph = {
  nodes: [fused('Gelu', ['x'], ['y'])],
  inputs: floats(['x']),
  outputs: ['y'],
};

/** y = x σ(1.702 x). In: x. */
export const geluQuickGraph: OnnxGraph = {
  nodes: [node('Mul', ['x', 'k'], ['kx']), node('Sigmoid', ['kx'], ['s']), node('Mul', ['x', 's'], ['y'])],
  inputs: floats(['x']),
  outputs: ['y'],
  scalars: { k: 1.702 },
};

/** In: x [batch, time, heads · d], position int64 [1], cos and sin [positions, d/2]. */
export const rotaryGraph: OnnxGraph = {
  nodes: [fused('RotaryEmbedding', ['x', 'position', 'cos', 'sin'], ['y'])],
  inputs: { ...floats(['x', 'cos', 'sin']), position: 'int64' },
  outputs: ['y'],
};

/** `[rows, heads·d]` as [batch, kvHeads, group·time, d]: in `x`, with shapes `split` and `grouped`. */
const toHeads = (x: string, out: string, split: string, grouped: string): OnnxNode[] => [
  node('Reshape', [x, split], [`${out}_split`]),
  node('Transpose', [`${out}_split`], [`${out}_heads`], { perm: { ints: [0, 2, 1, 3] } }),
  node('Reshape', [`${out}_heads`, grouped], [out]),
];

const fromHeads = (x: string, out: string, heads: string, rows: string): OnnxNode[] => [
  node('Reshape', [x, heads], [`${out}_heads`]),
  node('Transpose', [`${out}_heads`], [`${out}_split`], { perm: { ints: [0, 2, 1, 3] } }),
  node('Reshape', [`${out}_split`, rows], [out]),
];

const shapeInputs = {
  qSplit: 'int64',
  qGrouped: 'int64',
  qHeads: 'int64',
  qRows: 'int64',
  kvSplit: 'int64',
  kvGrouped: 'int64',
} as const;

/** softmax(alpha·Q Kᵀ + mask) V. In: q, k, v, mask?, shapes. Out: y, p. */
export const attentionGraph = (alpha: number, masked: boolean): OnnxGraph => ({
  nodes: [
    ...toHeads('q', 'Q', 'qSplit', 'qGrouped'),
    ...toHeads('k', 'K', 'kvSplit', 'kvGrouped'),
    ...toHeads('v', 'V', 'kvSplit', 'kvGrouped'),
    fused('FusedMatMul', ['Q', 'K'], [masked ? 'raw' : 'scores'], { ...transposeB, alpha: { float: alpha } }),
    ...(masked ? [node('Add', ['raw', 'mask'], ['scores'])] : []),
    node('Softmax', ['scores'], ['p'], { axis: { int: -1 } }),
    node('MatMul', ['p', 'V'], ['O']),
    ...fromHeads('O', 'y', 'qHeads', 'qRows'),
  ],
  inputs: { ...floats(['q', 'k', 'v', ...(masked ? ['mask'] : [])]), ...shapeInputs },
  outputs: ['y', 'p'],
});

/** The gradients of {@link attentionGraph}. In: dy, q, k, v, p, shapes. Out: dq, dk, dv. */
export const attentionBackwardGraph = (alpha: number): OnnxGraph => ({
  nodes: [
    ...toHeads('dy', 'dO', 'qSplit', 'qGrouped'),
    ...toHeads('q', 'Q', 'qSplit', 'qGrouped'),
    ...toHeads('k', 'K', 'kvSplit', 'kvGrouped'),
    ...toHeads('v', 'V', 'kvSplit', 'kvGrouped'),
    fused('FusedMatMul', ['dO', 'V'], ['dP'], transposeB),
    node('Mul', ['p', 'dP'], ['inner']),
    node('ReduceSum', ['inner', 'lastAxis'], ['total'], { keepdims: { int: 1 } }),
    node('Mul', ['p', 'total'], ['pt']),
    node('Sub', ['inner', 'pt'], ['dS']),
    fused('FusedMatMul', ['dS', 'K'], ['dQ'], { alpha: { float: alpha } }),
    fused('FusedMatMul', ['dS', 'Q'], ['dK'], { ...transposeA, alpha: { float: alpha } }),
    fused('FusedMatMul', ['p', 'dO'], ['dV'], transposeA),
    ...fromHeads('dQ', 'dq', 'qHeads', 'qRows'),
    ...fromHeads('dK', 'dk', 'kvHeads', 'kvRows'),
    ...fromHeads('dV', 'dv', 'kvHeads', 'kvRows'),
  ],
  inputs: {
    ...floats(['dy', 'q', 'k', 'v', 'p']),
    ...shapeInputs,
    kvHeads: 'int64',
    kvRows: 'int64',
    lastAxis: 'int64',
  },
  outputs: ['dq', 'dk', 'dv'],
});
