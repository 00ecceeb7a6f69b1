/** The MLP block of a decoder layer with one training segment on each product, as two onnxruntime graphs; callers rely on the names. */
import type { OnnxGraph, OnnxNode } from '@contextlora/kernels';

const linears = ['gate', 'up', 'down'] as const;
const node = (
  op: string,
  inputs: readonly string[],
  output: string | readonly string[],
  attributes: OnnxNode['attributes'] = {},
): OnnxNode => ({ op, inputs, outputs: typeof output === 'string' ? [output] : output, attributes });
const transposeA = { transA: { int: 1 } };
const transposeB = { transB: { int: 1 } };

/** y = x Wᵀ + h Bᵀ, h = scale · x Aᵀ */
const lora = (linear: string, x: string, y: string) => [
  node('Gemm', [x, `${linear}A`], `${linear}U`, transposeB),
  node('Mul', [`${linear}U`, 'scale'], `${linear}H`),
  node('Gemm', [x, `${linear}W`], `${linear}Base`, transposeB),
  node('Gemm', [`${linear}H`, `${linear}B`, `${linear}Base`], y, transposeB),
];

/** dx = dy W + dh A (+ sum), dh = scale · dy B, dA = dhᵀ x, dB = dyᵀ h */
const loraBackward = (
  linear: string,
  { x, dy, dx, sum }: Record<'x' | 'dy' | 'dx', string> & { sum?: string },
) => [
  node('Gemm', [dy, `${linear}B`], `${linear}V`),
  node('Mul', [`${linear}V`, 'scale'], `${linear}DH`),
  node('Gemm', [dy, `${linear}W`, ...(sum ? [sum] : [])], `${linear}DBase`),
  node('Gemm', [`${linear}DH`, `${linear}A`, `${linear}DBase`], dx),
  node('Gemm', [`${linear}DH`, x], `${linear}DA`, transposeA),
  node('Gemm', [dy, `${linear}H`], `${linear}DB`, transposeA),
];

const segmentNames = linears.flatMap((linear) => [`${linear}W`, `${linear}A`, `${linear}B`]);

/** y = x + down(silu(gate n) ∘ up n), n = x · inverse · gain. Inputs: x, gain, scale, and W, A, B of each linear. Outputs: y and what backward reads. */
export const mlpForwardGraph = (epsilon: number): OnnxGraph => ({
  nodes: [
    node('SimplifiedLayerNormalization', ['x', 'gain'], ['n', 'inverse'], {
      epsilon: { float: epsilon },
      axis: { int: -1 },
    }),
    ...lora('gate', 'n', 'gate'),
    ...lora('up', 'n', 'up'),
    node('Sigmoid', ['gate'], 'sigmoid'),
    node('Mul', ['gate', 'sigmoid'], 'silu'),
    node('Mul', ['silu', 'up'], 'activation'),
    ...lora('down', 'activation', 'mlp'),
    node('Add', ['x', 'mlp'], 'y'),
  ],
  inputs: ['x', 'gain', 'scale', ...segmentNames],
  outputs: ['y', 'n', 'inverse', 'gate', 'up', 'activation', ...linears.map((linear) => `${linear}H`)],
});

/** Inputs: x, dy, gain, scale, one, W, A, B of each linear, and what forward returned. Outputs: dx, and DA, DB of each linear. */
export const mlpBackwardGraph = (): OnnxGraph => ({
  nodes: [
    ...loraBackward('down', { x: 'activation', dy: 'dy', dx: 'dActivation' }),
    // dUp = d ∘ silu; dGate = d ∘ up ∘ (σ + silu (1 − σ))
    node('Sigmoid', ['gate'], 'sigmoid'),
    node('Mul', ['gate', 'sigmoid'], 'silu'),
    node('Mul', ['dActivation', 'silu'], 'dUp'),
    node('Sub', ['one', 'sigmoid'], 'rest'),
    node('Mul', ['silu', 'rest'], 'bent'),
    node('Add', ['bent', 'sigmoid'], 'slope'),
    node('Mul', ['dActivation', 'up'], 'through'),
    node('Mul', ['through', 'slope'], 'dGate'),
    ...loraBackward('gate', { x: 'n', dy: 'dGate', dx: 'dnGate' }),
    ...loraBackward('up', { x: 'n', dy: 'dUp', dx: 'dn', sum: 'dnGate' }),
    // dx = dy + inverse · (dn ∘ gain − m · mean(dn ∘ gain ∘ m)), m = x · inverse
    node('Mul', ['dn', 'gain'], 'gained'),
    node('Mul', ['x', 'inverse'], 'm'),
    node('Mul', ['gained', 'm'], 'product'),
    node('ReduceMean', ['product'], 'mean', { axes: { ints: [-1] }, keepdims: { int: 1 } }),
    node('Mul', ['m', 'mean'], 'along'),
    node('Sub', ['gained', 'along'], 'across'),
    node('Mul', ['across', 'inverse'], 'throughNorm'),
    node('Add', ['throughNorm', 'dy'], 'dx'),
  ],
  inputs: [
    ...['x', 'dy', 'gain', 'scale', 'one', ...segmentNames],
    ...['n', 'inverse', 'gate', 'up', 'activation', ...linears.map((linear) => `${linear}H`)],
  ],
  outputs: ['dx', ...linears.flatMap((linear) => [`${linear}DA`, `${linear}DB`])],
});
