/**
 * One decoder layer as an explicit pair: forward keeps what backward needs; backward returns the gradients of the input and of the
 * segments that train, each only if needed.
 *
 *   h = x + Wo · attention(rope(Wq n), rope(Wk n), Wv n),  n = rmsNorm(x); with head norms rope(rmsNorm(Wq n)), likewise for k
 *   y = h + Wdown · (silu(Wgate m) ∘ Wup m),               m = rmsNorm(h)
 */
import type {
  Kernels,
  LinearWeight,
  LoraSegment,
  RotaryTable,
  Saved,
  SegmentGradient,
} from '@contextlora/kernels';
import { dispose, type Rank, reshape, type Tensor2D } from '@contextlora/kernels/tfjs';

export const layerLinears = [
  'self_attn.q_proj',
  'self_attn.k_proj',
  'self_attn.v_proj',
  'self_attn.o_proj',
  'mlp.gate_proj',
  'mlp.up_proj',
  'mlp.down_proj',
] as const;
export type LayerLinear = (typeof layerLinears)[number];

export interface DecoderLayerWeights {
  readonly linears: Readonly<Record<LayerLinear, LinearWeight>>;
  readonly inputNorm: Float32Array;
  readonly mlpNorm: Float32Array;
  /** Qwen3: gains `[headDim]` of an RMS norm over each head of q and k, before rotation. */
  readonly queryNorm?: Float32Array;
  readonly keyNorm?: Float32Array;
}

/** The active segments of each linear of a decoder layer. */
export type LayerSegments = Readonly<Partial<Record<LayerLinear, readonly LoraSegment[]>>>;

export interface LayerContext {
  readonly kernels: Kernels;
  readonly batch: number;
  readonly time: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly rmsEpsilon: number;
  readonly rotary: RotaryTable;
  /** The left padding of each row; see AttentionShape. */
  readonly firstKeys?: readonly number[];
  /** Replaces attention over the rows by attention over a cache. Forward only. */
  readonly attend?: (q: Tensor2D, k: Tensor2D, v: Tensor2D) => Tensor2D;
}

export interface LayerSaved {
  readonly linears: Readonly<Record<LayerLinear, Saved>>;
  readonly inputNorm: Saved;
  readonly mlpNorm: Saved;
  readonly queryNorm: Saved;
  readonly keyNorm: Saved;
  readonly attention: Saved;
  readonly swiglu: Saved;
  dispose(): void;
}

export type LayerGradients = Partial<Record<LayerLinear, readonly (SegmentGradient | null)[]>>;

/** The gradient of the output of each linear that trains. */
export type LayerOutputGradients = Partial<Record<LayerLinear, Tensor2D>>;

/** Computes y for x `[batch · time, hidden]`, and with `keep` returns what backward needs; otherwise everything is freed. */
export function decoderLayer(
  x: Tensor2D,
  weights: DecoderLayerWeights,
  { segments, context, keep }: { segments: LayerSegments; context: LayerContext; keep: boolean },
): { y: Tensor2D; saved: LayerSaved | null } {
  const { kernels, rmsEpsilon } = context;
  const rotary = { table: context.rotary };
  const intermediates: Tensor2D[] = [];
  const track = (tensor: Tensor2D) => {
    intermediates.push(tensor);
    return tensor;
  };
  const linears = {} as Record<LayerLinear, Saved>;
  const apply = (name: LayerLinear, input: Tensor2D) => {
    const { y, saved } = kernels.linear(input, weights.linears[name], segments[name] ?? []);
    linears[name] = saved;
    return track(y);
  };

  const inputNorm = kernels.rmsNorm(x, weights.inputNorm, rmsEpsilon);
  const n = track(inputNorm.y);
  const normHeads = (projected: Tensor2D, gain: Float32Array | undefined) => {
    if (!gain) return { y: projected, saved: nothingSaved };
    const heads = track(reshape<Rank.R2>(projected, [projected.size / context.headDim, context.headDim]));
    const { y, saved } = kernels.rmsNorm(heads, gain, rmsEpsilon);
    return { y: track(reshape<Rank.R2>(track(y), projected.shape)), saved };
  };
  const queryNorm = normHeads(apply('self_attn.q_proj', n), weights.queryNorm);
  const keyNorm = normHeads(apply('self_attn.k_proj', n), weights.keyNorm);
  const [q, k] = [queryNorm.y, keyNorm.y];
  const v = apply('self_attn.v_proj', n);
  const attention = context.attend
    ? { y: context.attend(q, k, v), saved: nothingSaved }
    : kernels.attention(q, k, v, attentionShape(context), rotary);
  const h = track(kernels.add(x, apply('self_attn.o_proj', track(attention.y))));

  const mlpNorm = kernels.rmsNorm(h, weights.mlpNorm, rmsEpsilon);
  const m = track(mlpNorm.y);
  const swiglu = kernels.swiglu(apply('mlp.gate_proj', m), apply('mlp.up_proj', m));
  const y = kernels.add(h, apply('mlp.down_proj', track(swiglu.y)));

  const saved: LayerSaved = {
    linears,
    inputNorm: inputNorm.saved,
    mlpNorm: mlpNorm.saved,
    queryNorm: queryNorm.saved,
    keyNorm: keyNorm.saved,
    attention: attention.saved,
    swiglu: swiglu.saved,
    dispose() {
      for (const part of [
        ...Object.values(linears),
        inputNorm.saved,
        mlpNorm.saved,
        queryNorm.saved,
        keyNorm.saved,
        attention.saved,
        swiglu.saved,
      ])
        part.dispose();
      dispose(intermediates);
    },
  };
  if (keep) return { y, saved };
  saved.dispose();
  return { y, saved: null };
}

/**
 * Computes the gradients for dy; without `input` no gradient is computed below the lowest linear that trains. With `later` those of A and B
 * are left to {@link decoderLayerWeightGradients}, with what it needs in `outputs`.
 */
export function decoderLayerBackward(
  dy: Tensor2D,
  saved: LayerSaved,
  weights: DecoderLayerWeights,
  {
    segments,
    context,
    input,
    later = false,
  }: { segments: LayerSegments; context: LayerContext; input: boolean; later?: boolean },
): { dx: Tensor2D | null; gradients: LayerGradients; outputs: LayerOutputGradients } {
  const { kernels } = context;
  const gradients: LayerGradients = {};
  const outputs: LayerOutputGradients = {};
  const trains = (...names: LayerLinear[]) =>
    names.some((name) => segments[name]?.some(({ train }) => train));
  const back = (name: LayerLinear, d: Tensor2D, needed: boolean) => {
    const active = segments[name] ?? [];
    const result = kernels.linearBackward(
      d,
      saved.linears[name],
      weights.linears[name],
      later ? active.map((segment) => ({ ...segment, train: false })) : active,
      { input: needed },
    );
    // A second name of the same values, as they are freed here.
    if (later && trains(name)) outputs[name] = reshape<Rank.R2>(d, d.shape);
    if (!later) gradients[name] = result.segments;
    return result.dx;
  };
  const free = (...tensors: (Tensor2D | null)[]) => {
    dispose(tensors.filter((tensor) => tensor !== null));
  };

  // A gradient must reach each point that something below it needs.
  const needInput = input;
  const needQkv = needInput || trains('self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj');
  const needAttention = needQkv || trains('self_attn.o_proj');
  const needGateUp = needAttention || trains('mlp.gate_proj', 'mlp.up_proj');

  const dActivated = back('mlp.down_proj', dy, needGateUp);
  if (!dActivated) return { dx: null, gradients, outputs };
  const { dGate, dUp } = kernels.swigluBackward(dActivated, saved.swiglu);
  const dmGate = back('mlp.gate_proj', dGate, needAttention);
  const dmUp = back('mlp.up_proj', dUp, needAttention);
  free(dActivated, dGate, dUp);
  if (!dmGate || !dmUp) return { dx: null, gradients, outputs };
  const dm = kernels.add(dmGate, dmUp);
  const dmIn = kernels.rmsNormBackward(dm, saved.mlpNorm, weights.mlpNorm);
  const dh = kernels.add(dy, dmIn);
  free(dmGate, dmUp, dm, dmIn);

  const dAttended = back('self_attn.o_proj', dh, needQkv);
  if (!dAttended) {
    free(dh);
    return { dx: null, gradients, outputs };
  }
  const normBack = (d: Tensor2D, of: Saved, gain: Float32Array | undefined) => {
    if (!gain) return d;
    const heads = reshape<Rank.R2>(d, [d.size / context.headDim, context.headDim]);
    const dHeads = kernels.rmsNormBackward(heads, of, gain);
    const result = reshape<Rank.R2>(dHeads, d.shape);
    free(d, heads, dHeads);
    return result;
  };
  const turned = kernels.attentionBackward(dAttended, saved.attention, attentionShape(context), {
    table: context.rotary,
  });
  const { dv } = turned;
  const dq = normBack(turned.dq, saved.queryNorm, weights.queryNorm);
  const dk = normBack(turned.dk, saved.keyNorm, weights.keyNorm);
  const dnq = back('self_attn.q_proj', dq, needInput);
  const dnk = back('self_attn.k_proj', dk, needInput);
  const dnv = back('self_attn.v_proj', dv, needInput);
  free(dAttended, dq, dk, dv);
  if (!dnq || !dnk || !dnv) {
    free(dh);
    return { dx: null, gradients, outputs };
  }
  const dnqk = kernels.add(dnq, dnk);
  const dn = kernels.add(dnqk, dnv);
  const dxNorm = kernels.rmsNormBackward(dn, saved.inputNorm, weights.inputNorm);
  const dx = kernels.add(dh, dxNorm);
  free(dnq, dnk, dnv, dnqk, dn, dxNorm, dh);
  return { dx, gradients, outputs };
}

/** The gradients of A and B that `decoderLayerBackward` left. */
export function decoderLayerWeightGradients(
  outputs: LayerOutputGradients,
  saved: LayerSaved,
  { weights, segments }: { weights: DecoderLayerWeights; segments: LayerSegments },
  { kernels }: Pick<LayerContext, 'kernels'>,
): LayerGradients {
  const gradients: LayerGradients = {};
  for (const name of layerLinears) {
    const d = outputs[name];
    if (d)
      gradients[name] = kernels.linearBackward(
        d,
        saved.linears[name],
        weights.linears[name],
        segments[name] ?? [],
        { input: false },
      ).segments;
  }
  return gradients;
}

const nothingSaved: Saved = { dispose: () => undefined };

const attentionShape = ({ batch, time, heads, kvHeads, headDim, firstKeys }: LayerContext) => ({
  batch,
  time,
  heads,
  kvHeads,
  headDim,
  causal: true,
  ...(firstKeys ? { firstKeys } : {}),
});
