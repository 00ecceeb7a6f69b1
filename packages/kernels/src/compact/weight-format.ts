/** What a format of frozen weights must say about itself: one file in formats/ each, and nothing about a format stands anywhere else. */
import type { WasmHeap } from '../wasm/heap.js';
import type { WasmModule } from '../wasm/module.js';
import type { ResidentLayout } from './resident-layouts.js';

/** Of a weight W `[out, in]`. */
export interface WeightShape {
  readonly outFeatures: number;
  readonly inFeatures: number;
}

/** Rows `[first, end)` of a weight. */
export interface RowRange {
  readonly inFeatures: number;
  readonly first: number;
  readonly end: number;
}

/** Where rows are expanded to float32: an address of the heap, and a function that gives scratch for their compact bytes. */
interface ExpansionTarget {
  readonly heap: WasmHeap;
  readonly module: WasmModule;
  readonly target: number;
  readonly room: (bytes: number) => number;
}

/** The memory of a resident weight, seen as bytes and as floats. */
export interface ResidentMemory {
  readonly bytes: Uint8Array;
  readonly floats: Float32Array;
}

export interface WeightFormat<Weight extends { readonly format: string }> {
  readonly name: Weight['format'];
  /** Consecutive values of a row that are packed together; 1 where each stands by itself. */
  readonly blockValues: number;
  readonly blockBytes: number;
  /** Bytes that a row takes besides its blocks. */
  readonly rowOverheadBytes: number;
  /** Throws unless the weight has the size of its shape and can be decoded. */
  check(weight: Weight, shape: WeightShape): void;
  /** Writes all values `[out, in]`. */
  decode(weight: Weight, inFeatures: number, values: Float32Array): void;
  /** Expands some rows to float32 on the heap, in wasm. */
  expandRows(weight: Weight, rows: RowRange, to: ExpansionTarget): void;
  /** How the weight lies on the heap once decoding multiplies it. */
  readonly layout: ResidentLayout;
  /** Writes the whole weight in that layout. */
  arrange(weight: Weight, shape: WeightShape, to: ResidentMemory): void;
}

/** A format that float32 can be rounded to; the others only come from files, because their search for scales is llama.cpp's. */
export interface EncodableFormat<Weight extends { readonly format: string }> extends WeightFormat<Weight> {
  /** Rounds values `[out, in]` to the nearest of the format. */
  encode(values: Float32Array, shape: WeightShape): Weight;
}
