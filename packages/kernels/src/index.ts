export { accelerateTfjs, type Acceleration } from './accelerate-tfjs.js';
export {
  type BlockFormat,
  type CompactFormat,
  compactFormats,
  type CompactWeight,
  type CompressFormat,
} from './compact/compact-formats.js';
export { compressWeight } from './compact/compress-weight.js';
export { expandWeight } from './compact/expand-weight.js';
export { countFlops, type OperationCount, type WorkKind } from './count-flops.js';
export { type IntegerWeight, integerWeight, integerWeightBytes } from './integer/integer-weight.js';
export type {
  AdamWOptions,
  AttentionShape,
  CacheShape,
  Forward,
  GeluVariant,
  Kernels,
  KeyValueCache,
  LinearWeight,
  LoraSegment,
  LossValue,
  MatrixPair,
  NewPositions,
  PatchShape,
  RotaryPositions,
  RotaryShape,
  RotaryTable,
  Saved,
  SegmentGradient,
} from './kernels.js';
export { KernelsError, type KernelsErrorCode } from './kernels-error.js';
export { lion, type LionOptions } from './optimizers/lion.js';
export { sgd, type SgdOptions } from './optimizers/sgd.js';
export type { OnnxRuntime, OnnxSession, OnnxTensor } from './onnx/library.js';
export { integerKindOf } from './onnx/integer-products.js';
export type { OnnxConstant, OnnxGraph, OnnxNode, OnnxType } from './onnx/model.js';
export { loadOnnxRuntime, type OnnxRuntimeSources } from './onnx/runtime.js';
export type { OpenBackendOptions } from './open-backend.js';
export {
  type BackendReport,
  describeBackends,
  openKernels,
  type OpenKernelsOptions,
} from './open-kernels.js';
export { openWebGpu, type WebGpuBackend } from './open-webgpu.js';
export { createReferenceKernels } from './reference/kernels.js';
export { openWasmHeap, type WasmHeap } from './wasm/heap.js';
