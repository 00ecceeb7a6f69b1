/** The exports of the wasm module, which has no data and runs in the memory of the tfjs wasm backend. */
export { add, geglu, gegluBackward, gelu, geluBackward, swiglu, swigluBackward } from './activations';
export { adamW } from './adam-w';
export { maskedSoftmax, maskedSoftmaxBackward, rotateHeads } from './attention';
export { expandHalf, expandInt8, expandQ40, expandQ41, expandQ4K, expandQ51, expandQ5K, expandQ6K, expandQ80 } from './compact';
export { expRow, rowMaximum, scaleRow } from './cross-entropy';
export { appendHeads, attendCached } from './cached-attention';
export { integerProduct, integerScratchBytes, integerVectors, rotateIntegers, roundRows, scaleIntegers } from './integers';
export { addExpanded, outerProducts, projectRows, transpose } from './low-rank';
export { matrixProduct, productScratchBytes } from './matrix-product';
export { layerNorm, layerNormBackward, rmsNorm, rmsNormBackward } from './norms';
export {
  arrangeIntegers,
  expand4,
  expand8,
  vectorProduct4,
  vectorProduct8,
  vectorProductBlocks,
  vectorProductF16,
  vectorProductF32,
} from './vector-product';
