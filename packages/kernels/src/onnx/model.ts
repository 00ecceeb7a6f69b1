/** Writes small ONNX models, a few hundred bytes of protobuf. Field numbers from onnx.proto. */

export interface OnnxNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, OnnxAttribute>>;
  readonly domain?: 'com.microsoft';
}

type OnnxAttribute =
  { readonly float: number } | { readonly int: number } | { readonly ints: readonly number[] };

/** Element types of tensors, with their numbers in onnx.proto. */
export const onnxTypes = { float32: 1, uint8: 2, int8: 3, int32: 6 } as const;
export type OnnxType = keyof typeof onnxTypes;

/** A value that is part of the graph: the runtime keeps it in the layout that its products read. */
export interface OnnxConstant {
  readonly values: Int8Array | Uint8Array;
  readonly shape: readonly number[];
}

export interface OnnxGraph {
  readonly nodes: readonly OnnxNode[];
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Of inputs and outputs; float32 if absent. */
  readonly types?: Readonly<Record<string, OnnxType>>;
  readonly constants?: Readonly<Record<string, OnnxConstant>>;
}

/** Default opset 17 (ReduceMean still takes its axes as an attribute), com.microsoft 1, IR version 8. */
export function encodeOnnxModel({
  nodes,
  inputs,
  outputs,
  types = {},
  constants = {},
}: OnnxGraph): Uint8Array {
  const typed = (name: string) => encodeValue(name, types[name] ?? 'float32');
  const graph = [
    ...nodes.map((node) => message(1, encodeNode(node))),
    text(2, 'graph'),
    ...Object.entries(constants).map(([name, constant]) => message(5, encodeConstant(name, constant))),
    ...inputs.map((name) => message(11, typed(name))),
    ...outputs.map((name) => message(12, typed(name))),
  ];
  const opsets = [
    [text(1, ''), varint(2, 17)],
    [text(1, 'com.microsoft'), varint(2, 1)],
  ];
  return concat([varint(1, 8), message(7, graph), ...opsets.map((opset) => message(8, opset))]);
}

const encodeNode = ({ op, inputs, outputs, attributes = {}, domain }: OnnxNode) => [
  ...inputs.map((name) => text(1, name)),
  ...outputs.map((name) => text(2, name)),
  text(4, op),
  ...Object.entries(attributes).map(([name, value]) =>
    message(5, [text(1, name), ...encodeAttribute(value)]),
  ),
  ...(domain ? [text(7, domain)] : []),
];

function encodeAttribute(value: OnnxAttribute): Uint8Array[] {
  if ('float' in value) return [tag(2, 5), float(value.float), varint(20, 1)];
  if ('int' in value) return [varint(3, value.int), varint(20, 2)];
  return [...value.ints.map((n) => varint(8, n)), varint(20, 7)];
}

/** A value of unknown shape: one session serves all shapes. */
const encodeValue = (name: string, type: OnnxType) => [
  text(1, name),
  message(2, [message(1, [varint(1, onnxTypes[type])])]),
];

const encodeConstant = (name: string, { values, shape }: OnnxConstant) => [
  ...shape.map((size) => varint(1, size)),
  varint(2, onnxTypes[values instanceof Int8Array ? 'int8' : 'uint8']),
  text(8, name),
  bytesField(9, new Uint8Array(values.buffer, values.byteOffset, values.byteLength)),
];

function rawVarint(value: number | bigint): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  do {
    const low = Number(rest & 127n);
    rest >>= 7n;
    bytes.push(rest > 0n ? low | 128 : low);
  } while (rest > 0n);
  return Uint8Array.from(bytes);
}

const tag = (field: number, wire: number) => rawVarint((field << 3) | wire);
const varint = (field: number, value: number) => concat([tag(field, 0), rawVarint(value)]);
const float = (value: number) => new Uint8Array(Float32Array.of(value).buffer);
const text = (field: number, value: string) => bytesField(field, new TextEncoder().encode(value));
const message = (field: number, parts: readonly Uint8Array[]) => bytesField(field, concat(parts));
const bytesField = (field: number, bytes: Uint8Array) =>
  concat([tag(field, 2), rawVarint(bytes.length), bytes]);

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    result.set(part, offset);
    offset += part.length;
  }
  return result;
}
