/** The operations written in AssemblyScript (assembly/), running in the memory of the tfjs wasm backend on addresses of its tensors. */
import { wasmCode } from './code.js';
import type { WasmHeap } from './heap.js';
import { Instance, Module } from './web-assembly.js';

/** Arguments are byte addresses and sizes, in the order of the functions in assembly/. */
type Operation = (...addressesAndSizes: number[]) => void;

export interface WasmModule extends Readonly<
  Record<
    | 'add'
    | 'adamW'
    | 'addExpanded'
    | 'appendHeads'
    | 'arrangeIntegers'
    | 'attendCached'
    | 'expand4'
    | 'expand8'
    | 'outerProducts'
    | 'projectRows'
    | 'transpose'
    | 'expandHalf'
    | 'expandInt8'
    | 'expandQ40'
    | 'expandQ41'
    | 'expandQ4K'
    | 'expandQ51'
    | 'expandQ5K'
    | 'expandQ6K'
    | 'expandQ80'
    | 'geglu'
    | 'gegluBackward'
    | 'gelu'
    | 'geluBackward'
    | 'integerProduct'
    | 'integerVectors'
    | 'layerNorm'
    | 'layerNormBackward'
    | 'maskedSoftmax'
    | 'maskedSoftmaxBackward'
    | 'matrixProduct'
    | 'rmsNorm'
    | 'rmsNormBackward'
    | 'rotateHeads'
    | 'rotateIntegers'
    | 'roundRows'
    | 'scaleIntegers'
    | 'scaleRow'
    | 'swiglu'
    | 'swigluBackward'
    | 'vectorProduct4'
    | 'vectorProduct8'
    | 'vectorProductBlocks'
    | 'vectorProductF16'
    | 'vectorProductF32',
    Operation
  >
> {
  productScratchBytes(): number;
  integerScratchBytes(inFeatures: number): number;
  /** The largest value of a row. */
  rowMaximum(row: number, columns: number): number;
  /** Replaces each x by e^(x − shift) and returns their sum. */
  expRow(row: number, columns: number, shift: number): number;
}

/** Instantiates the module on a heap. */
export function openWasmModule(heap: WasmHeap): WasmModule {
  const module = new Module(Buffer.from(wasmCode, 'base64'));
  const instance = new Instance(module, { env: { memory: heap.memory } });
  return instance.exports as unknown as WasmModule;
}
