/** A model's segments and optimizer state as safetensors files. */
import { initialiseSegments, type Partition, type Segments } from '@contextlora/lora';
import { hashPartition } from '@contextlora/lora/files';
import {
  decodeSafetensors,
  encodeSafetensors,
  type FileTensor,
  float32Tensor,
  type Safetensors,
  toFloat32,
} from '@contextlora/lora/safetensors';

import { listProblems, ModelError } from '../model-error.js';
import { copyState, momentNames, type OptimizerState, type TrainingState } from '../stage/training-state.js';
import { flatArrays } from './trained-parameters.js';

type Files = Readonly<Record<string, Uint8Array>>;
const segmentsFile = 'segments.safetensors';
const optimizerFile = (task: string) => `optimizer-${task}.safetensors`;

/**
 * Encodes a state as files. With the partition's hash, because segments mean nothing with other spans, scales or tasks.
 *
 * @throws ModelError (`MODEL_INPUT_INVALID`) when a number in it is not finite: such a state is of no use to anybody.
 */
export function encodeState({ segments, optimizers }: TrainingState, partition: Partition): Files {
  const files: Record<string, Uint8Array> = {
    [segmentsFile]: encodeSafetensors(asTensors(segmentTensors(segments)), {
      partition: hashPartition(partition),
    }),
  };
  for (const [task, { method, moments, step }] of Object.entries(optimizers))
    files[optimizerFile(task)] = encodeSafetensors(asTensors(momentTensors(moments)), {
      step: String(step),
      method,
    });
  return files;
}

/**
 * Decodes the state in files, whose segments and tasks in training are those of `like`.
 *
 * @throws ModelError (`MODEL_MISMATCH`) with everything that is missing, unknown or does not fit.
 */
export function decodeState(files: Files, like: TrainingState, partition: Partition): TrainingState {
  const problems: string[] = [];
  const state = copyState(like);
  const optimizers: Record<string, OptimizerState> = {};
  const known = new Set([segmentsFile, ...Object.keys(state.segments).map(optimizerFile)]);
  for (const name of Object.keys(files))
    if (!known.has(name)) problems.push(`${name} is not a file of a state`);

  const saved = read(files, segmentsFile, problems);
  if (saved) {
    if (saved.metadata['partition'] !== hashPartition(partition))
      problems.push(`${segmentsFile} is of another partition: were rank, alpha, tasks or model changed?`);
    fill(segmentTensors(state.segments), saved, { file: segmentsFile, problems });
  }
  for (const [task, { method, trains, moments }] of Object.entries(state.optimizers)) {
    const file = optimizerFile(task);
    const found = read(files, file, problems);
    if (!found) continue;
    const flat = momentTensors(moments);
    fill(flat, found, { file, problems });
    for (const { name, values } of flat) {
      let at = 0;
      for (const array of flatArrays(Object.values(moments[name] ?? {})))
        array.set(values.subarray(at, (at += array.length)));
    }
    const { step = '', method: other = 'another optimizer' } = found.metadata;
    if (other !== method)
      problems.push(`${file}: its moments are of ${other}, and this model trains with ${method}`);
    if (!/^(0|[1-9]\d{0,14})$/.test(step)) problems.push(`${file}: its step is "${step}"`);
    optimizers[task] = { method, trains, step: Number(step), moments };
  }
  if (problems.length > 0)
    throw new ModelError(
      'MODEL_MISMATCH',
      'restoreState',
      listProblems('the state does not fit the partition of this model:', problems),
    );
  return { segments: state.segments, optimizers };
}

/** Fills arrays with the tensors of a file. */
function fill(
  wanted: readonly NamedArray[],
  { tensors }: Safetensors,
  { file, problems }: { file: string; problems: string[] },
): void {
  const names = new Set(wanted.map(({ name }) => name));
  for (const name of tensors.keys())
    if (!names.has(name)) problems.push(`${file}: "${name}" is not of this model`);
  for (const { name, shape, values } of wanted) {
    const tensor = tensors.get(name);
    if (!tensor) problems.push(`${file}: "${name}" is missing`);
    else if (tensor.dtype !== 'F32' || tensor.shape.join() !== shape.join())
      problems.push(
        `${file}: "${name}" is ${tensor.dtype} [${tensor.shape.join(', ')}], expected F32 [${shape.join(', ')}]; was the rank changed?`,
      );
    else {
      values.set(toFloat32(tensor));
      if (!values.every(Number.isFinite)) problems.push(`${file}: "${name}" holds NaN or infinity`);
    }
  }
}

/**
 * The segments in the files of a state (`LocalModel.saveState`), without the model that saved them.
 *
 * @throws ModelError (`MODEL_MISMATCH`) when they are not those of the partition.
 */
export function segmentsOfState(files: Files, partition: Partition): Segments {
  const segments = initialiseSegments(partition, { seed: 0 });
  return decodeState(files, { segments, optimizers: {} }, partition).segments;
}

function read(files: Files, name: string, problems: string[]): Safetensors | undefined {
  const content = Object.hasOwn(files, name) ? files[name] : undefined;
  if (!content) {
    problems.push(`${name} is missing`);
    return undefined;
  }
  return decodeSafetensors(content, name);
}

/** An array and the tensor that stands for it in a file. */
interface NamedArray {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

const segmentTensors = (segments: Segments): NamedArray[] =>
  Object.entries(segments).flatMap(([task, segment]) =>
    Object.entries(segment).flatMap(([linear, { rank, a, b }]) => [
      { name: `${task}/${linear}/a`, shape: [rank, a.length / rank], values: a },
      { name: `${task}/${linear}/b`, shape: [b.length / rank, rank], values: b },
    ]),
  );

/** Each moment as one array, copied. */
const momentTensors = (moments: OptimizerState['moments']) =>
  momentNames.flatMap((name) => {
    const moment = moments[name];
    if (!moment) return [];
    const arrays = flatArrays(Object.values(moment));
    const values = new Float32Array(arrays.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const array of arrays) {
      values.set(array, at);
      at += array.length;
    }
    return [{ name, shape: [values.length], values }];
  });

const asTensors = (arrays: readonly NamedArray[]): [string, FileTensor][] =>
  arrays.map(({ name, shape, values }) => {
    if (!values.every(Number.isFinite))
      throw new ModelError(
        'MODEL_INPUT_INVALID',
        'saveState',
        `"${name}" holds NaN or infinity, and is not saved; train again from the last checkpoint, with a lower learning rate`,
      );
    return [name, float32Tensor(shape, values)];
  });
