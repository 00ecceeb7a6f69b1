/** The graphs of the native backend, whose callers rely on the names of inputs and outputs. */
import type { OnnxGraph, OnnxNode } from './model.js';

type Attributes = NonNullable<OnnxNode['attributes']>;

const node = (
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Attributes = {},
): OnnxNode => ({ op, inputs, outputs, attributes });
const transposeB: Attributes = { transB: { int: 1 } };
const transposeA: Attributes = { transA: { int: 1 } };

const range = (count: number) => Array.from({ length: count }, (_, i) => i);

/** y = x Wᵀ (+ bias) + Σ hᵢ Bᵢᵀ, hᵢ = sᵢ · x Aᵢᵀ. Inputs: x, w, bias?, aᵢ, bᵢ, sᵢ. Outputs: y, hᵢ. */
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
    inputs: [
      'x',
      'w',
      ...(bias ? ['bias'] : []),
      ...range(segments).flatMap((i) => [`a${i}`, `b${i}`, `s${i}`]),
    ],
    outputs: ['y', ...range(segments).map((i) => `h${i}`)],
  };
}

/**
 * dx = dy W + Σ dhᵢ Aᵢ, dhᵢ = sᵢ · dy Bᵢ; daᵢ = dhᵢᵀ x, dbᵢ = dyᵀ hᵢ of the segments that train.
 *
 * Inputs: dy, bᵢ, sᵢ; for dx also w and aᵢ; for segments that train also x and hᵢ. Outputs: dx if `input`; daᵢ, dbᵢ of those that train.
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
    inputs: [
      'dy',
      ...(input ? ['w'] : []),
      ...(training.length > 0 ? ['x'] : []),
      ...used.flatMap((i) => [
        `b${i}`,
        `s${i}`,
        ...(input ? [`a${i}`] : []),
        ...(trained[i] ? [`h${i}`] : []),
      ]),
    ],
    outputs: [...(input ? ['dx'] : []), ...training.flatMap((i) => [`da${i}`, `db${i}`])],
  };
}

/** c[i] = alpha · op(a[i]) op(b[i]). Inputs: a, b. Output: c. */
export const batchedGraph = ({
  transposeA,
  transposeB,
  alpha,
}: {
  transposeA: boolean;
  transposeB: boolean;
  alpha: number;
}): OnnxGraph => ({
  nodes: [
    {
      op: 'FusedMatMul',
      domain: 'com.microsoft',
      inputs: ['a', 'b'],
      outputs: ['c'],
      attributes: {
        transA: { int: Number(transposeA) },
        transB: { int: Number(transposeB) },
        alpha: { float: alpha },
      },
    },
  ],
  inputs: ['a', 'b'],
  outputs: ['c'],
});

/** y = eˣ. Input: x. Output: y. */
export const exponentialGraph = (): OnnxGraph => ({
  nodes: [node('Exp', ['x'], ['y'])],
  inputs: ['x'],
  outputs: ['y'],
});
