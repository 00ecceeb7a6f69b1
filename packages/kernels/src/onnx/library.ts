/**
 * onnxruntime's C interface, called through koffi.
 *
 * The Node binding of onnxruntime-node is asynchronous and copies every result; this one writes results where they belong. Source:
 * onnxruntime_c_api.h, whose table of functions only grows at the end, so that a function keeps its index in all later versions.
 */
import { KernelsError } from '../kernels-error.js';
import { encodeOnnxModel, type OnnxGraph, onnxTypes } from './model.js';

/** Values in place: nothing is copied. */
export interface OnnxTensor {
  readonly values: Float32Array | Int32Array | Uint8Array | Int8Array;
  readonly shape: readonly number[];
}

export interface OnnxSession {
  /** Computes the outputs of the graph from its inputs, into the memory of the given tensors; throws if one is missing or has another shape. */
  run(inputs: Readonly<Record<string, OnnxTensor>>, outputs: Readonly<Record<string, OnnxTensor>>): void;
  dispose(): void;
}

export interface OnnxRuntime {
  load(graph: OnnxGraph, threads: number): OnnxSession;
}

/** The part of koffi that is used here. */
export interface Koffi {
  load(path: string): { func(name: string, result: string, parameters: readonly string[]): NativeFunction };
  proto(result: string, parameters: readonly string[]): object;
  call(address: unknown, type: object, ...values: unknown[]): unknown;
  decode(address: unknown, type: 'void *', count: number): unknown[];
  address(values: ArrayBufferView): bigint;
}
type NativeFunction = (...values: unknown[]) => unknown;

/** The requested version of the table: that of onnxruntime 1.17, which later releases still provide. */
const apiVersion = 17;
/** Indices in the table. */
const places = {
  getErrorMessage: 2,
  createEnv: 3,
  createSessionFromArray: 8,
  run: 9,
  createSessionOptions: 10,
  disableMemPattern: 17,
  setSessionGraphOptimizationLevel: 23,
  setIntraOpNumThreads: 24,
  createTensorWithDataAsOrtValue: 49,
  createCpuMemoryInfo: 69,
  releaseStatus: 93,
  releaseSession: 95,
  releaseValue: 96,
  releaseSessionOptions: 100,
  addSessionConfigEntry: 130,
} as const;
const tableLength = 1 + places.addSessionConfigEntry;

/** Errors are thrown, so they need not be printed as well. */
const logFatalOnly = 4;
const arenaAllocator = 1;
const defaultMemory = 0;
const everyOptimization = 99;

/** Opens the library at a path; throws the loader's error if it does not load. */
export function openOnnxLibrary(koffi: Koffi, path: string): OnnxRuntime {
  // Whatever calls the library keeps a reference to it: koffi unloads a library that nothing refers to.
  const native = { koffi, library: koffi.load(path) };
  const apiBase = native.library.func('OrtGetApiBase', 'void *', [])();
  const [getApi] = koffi.decode(apiBase, 'void *', 2);
  const callable = (address: unknown, result: string, parameters: readonly string[]): NativeFunction => {
    const type = koffi.proto(result, parameters);
    return (...values) => native.koffi.call(address, type, ...values);
  };
  const api = callable(getApi, 'void *', ['uint32_t'])(apiVersion);
  if (!api)
    throw new KernelsError(
      'KERNELS_RUNTIME_FAILED',
      'onnx',
      `onnxruntime has no interface of version ${apiVersion}`,
    );
  const table = koffi.decode(api, 'void *', tableLength);
  const at = (name: keyof typeof places, result: string, ...parameters: string[]) =>
    callable(table[places[name]], result, parameters);

  const getErrorMessage = at('getErrorMessage', 'const char *', 'void *');
  const releaseStatus = at('releaseStatus', 'void', 'void *');
  /** A function that returns a status, which is null on success. */
  const checked = (name: keyof typeof places, ...parameters: string[]) => {
    const call = at(name, 'void *', ...parameters);
    return (...values: unknown[]) => {
      const status = call(...values);
      if (!status) return;
      const message = String(getErrorMessage(status));
      releaseStatus(status);
      throw new KernelsError('KERNELS_RUNTIME_FAILED', 'onnx', `onnxruntime/${name}: ${message}`);
    };
  };
  /** The handle that a call writes to its last argument. */
  const made = (call: (...values: unknown[]) => void, ...values: unknown[]): bigint => {
    const place = new BigUint64Array(1);
    call(...values, place);
    return place[0]!;
  };

  const setIntraOpNumThreads = checked('setIntraOpNumThreads', 'void *', 'int');
  const setOptimization = checked('setSessionGraphOptimizationLevel', 'void *', 'int');
  const disableMemPattern = checked('disableMemPattern', 'void *');
  const addConfigEntry = checked('addSessionConfigEntry', 'void *', 'str', 'str');
  const createOptions = checked('createSessionOptions', 'void *');
  const createSession = checked('createSessionFromArray', 'void *', 'void *', 'size_t', 'void *', 'void *');
  const createTensor = checked(
    'createTensorWithDataAsOrtValue',
    ...['void *', 'void *', 'size_t', 'void *', 'size_t', 'int', 'void *'],
  );
  const run = checked(
    'run',
    ...['void *', 'void *', 'void *', 'void *', 'size_t', 'void *', 'size_t', 'void *'],
  );
  const releaseValue = at('releaseValue', 'void', 'void *');
  const releaseSession = at('releaseSession', 'void', 'void *');
  const releaseOptions = at('releaseSessionOptions', 'void', 'void *');

  const environment = made(checked('createEnv', 'int', 'str', 'void *'), logFatalOnly, 'contextlora');
  const memory = made(
    checked('createCpuMemoryInfo', 'int', 'int', 'void *'),
    ...[arenaAllocator, defaultMemory],
  );

  return {
    load(graph, threads): OnnxSession {
      const options = made(createOptions);
      setIntraOpNumThreads(options, threads);
      setOptimization(options, everyOptimization);
      // Shapes differ from call to call.
      disableMemPattern(options);
      // Spinning threads starve whatever else runs on a small machine.
      addConfigEntry(options, 'session.intra_op.allow_spinning', '0');
      const model = encodeOnnxModel(graph);
      let session: bigint;
      try {
        session = made(createSession, environment, model, model.length, options);
      } finally {
        releaseOptions(options);
      }
      const names = [...graph.inputs, ...graph.outputs];
      const inputCount = graph.inputs.length;
      // Kept as long as the session, because the addresses point into them.
      const texts = names.map((name) => Buffer.from(`${name}\0`));
      const nameAddresses = BigUint64Array.from(texts, (text) => koffi.address(text));
      const handles = new BigUint64Array(names.length);
      const handlePlaces = names.map((_, i) => handles.subarray(i, i + 1));

      return {
        run(inputs, outputs) {
          if (texts.length === 0) throw new Error('internal: an onnx session is used after it was disposed');
          handles.fill(0n);
          try {
            for (const [i, name] of names.entries()) {
              const { values, shape } = tensorOf(name, i < inputCount ? inputs : outputs);
              const sizes = BigInt64Array.from(shape, BigInt);
              createTensor(
                ...[memory, values, values.byteLength, sizes, shape.length],
                ...[typeOf(values), handlePlaces[i]],
              );
            }
            run(
              ...[session, null],
              ...[nameAddresses, handles, inputCount],
              ...[nameAddresses.subarray(inputCount), graph.outputs.length, handles.subarray(inputCount)],
            );
          } finally {
            for (const handle of handles) if (handle !== 0n) releaseValue(handle);
          }
        },
        dispose() {
          if (texts.length > 0) releaseSession(session);
          texts.length = 0;
        },
      };
    },
  };
}

function typeOf(values: OnnxTensor['values']): number {
  if (values instanceof Float32Array) return onnxTypes.float32;
  if (values instanceof Int32Array) return onnxTypes.int32;
  return values instanceof Int8Array ? onnxTypes.int8 : onnxTypes.uint8;
}

function tensorOf(name: string, tensors: Readonly<Record<string, OnnxTensor>>): OnnxTensor {
  const tensor = tensors[name];
  if (!tensor) throw new Error(`internal: no tensor "${name}" was given to the graph`);
  return tensor;
}
