export { accelerateTfjs, type Acceleration } from './accelerate-tfjs.js';
export type * from './kernels.js';
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
export { KernelsError, type KernelsErrorCode } from './kernels-error.js';
export { createOnnxKernels } from './onnx/parts.js';
export type { OnnxGraph, OnnxNode } from './onnx/model.js';
export {
  loadOnnxRuntime,
  pinnedOnnxRuntimeVersion,
  type OnnxRuntime,
  type OnnxRuntimeSources,
  type OnnxSession,
  type OnnxTensor,
} from './onnx/runtime.js';
export {
  describeBackends,
  openKernels,
  type BackendReport,
  type OpenKernelsOptions,
} from './open-kernels.js';
export type { OpenBackendOptions } from './open-backend.js';
export { openWebGpu, type WebGpuBackend } from './open-webgpu.js';
export { createReferenceKernels } from './reference/kernels.js';
export { createWasmKernels } from './wasm/parts.js';
export { openWasmHeap, type WasmHeap } from './wasm/heap.js';
