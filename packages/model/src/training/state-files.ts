/** A model's segments and optimizer state as safetensors files. */
import { initialiseSegments, type Partition, type Segment, type Segments } from '@contextlora/lora';
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
import type { OptimizerMethod } from './optimizer.js';
import type { TrainedParameters } from './trained-parameters.js';

type Files = Readonly<Record<string, Uint8Array>>;
const segmentsFile = 'segments.safetensors';
const optimizerFile = (task: string) => `optimizer-${task}.safetensors`;

/** What a state is of. */
interface State {
  readonly segments: Segments;
  /** The tasks in training. */
  readonly training: ReadonlyMap<string, TrainedParameters>;
  /** SHA-256 of the partition: the segments mean nothing with other spans, scales or tasks. */
  readonly partitionHash: string;
  /** Whose moments they are. */
  readonly method: OptimizerMethod;
}

/**
 * Encodes all segments, and the optimizer state of each task in training.
 *
 * @throws ModelError (`MODEL_INPUT_INVALID`) when a number in them is not finite: such a state is of no use to anybody.
 */
export function encodeState({ segments, training, partitionHash, method }: State): Files {
  const tensors = Object.entries(segments).flatMap(([task, segment]) => segmentTensors(task, segment));
  const files: Record<string, Uint8Array> = {
    [segmentsFile]: encodeSafetensors(asTensors(tensors), { partition: partitionHash }),
  };
  for (const [task, { moments, step }] of training) {
    files[optimizerFile(task)] = encodeSafetensors(
      asTensors(Object.entries(moments).map(([name, values]) => ({ name, shape: [values.length], values }))),
      { step: String(step), method },
    );
  }
  return files;
}

/**
 * Reads a state back into the segments' arrays and the optimizer state of the tasks in training; all of it or, if anything in it is
 * missing, unknown or does not fit, nothing.
 *
 * @throws ModelError (`MODEL_MISMATCH`) with everything that does not fit.
 */
export function decodeState(files: Files, { segments, training, partitionHash, method }: State): void {
  const problems: string[] = [];
  const writes: (() => void)[] = [];
  /** Takes the tensors of a file into arrays, once all files have been checked. */
  const take = (file: string, { tensors }: Safetensors, wanted: readonly NamedArray[]) => {
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
        const read = toFloat32(tensor);
        if (!read.every(Number.isFinite)) problems.push(`${file}: "${name}" holds NaN or infinity`);
        writes.push(() => {
          values.set(read);
        });
      }
    }
  };

  const known = new Set([segmentsFile, ...Object.keys(segments).map(optimizerFile)]);
  for (const name of Object.keys(files))
    if (!known.has(name)) problems.push(`${name} is not a file of a state`);

  const saved = read(files, segmentsFile, problems);
  if (saved) {
    if (saved.metadata['partition'] !== partitionHash)
      problems.push(`${segmentsFile} is of another partition: were rank, alpha, tasks or model changed?`);
    const wanted = Object.entries(segments).flatMap(([task, segment]) => segmentTensors(task, segment));
    take(segmentsFile, saved, wanted);
  }
  for (const [task, trained] of training) {
    const file = optimizerFile(task);
    const state = read(files, file, problems);
    if (!state) continue;
    take(
      file,
      state,
      Object.entries(trained.moments).map(([name, values]) => ({ name, shape: [values.length], values })),
    );
    const { step = '', method: other = 'another optimizer' } = state.metadata;
    if (other !== method)
      problems.push(`${file}: its moments are of ${other}, and this model trains with ${method}`);
    if (!/^(0|[1-9]\d{0,14})$/.test(step)) problems.push(`${file}: its step is "${step}"`);
    writes.push(() => {
      trained.step = Number(step);
    });
  }
  if (problems.length > 0)
    throw new ModelError(
      'MODEL_MISMATCH',
      'restoreState',
      listProblems('the state does not fit the partition of this model:', problems),
    );
  for (const write of writes) write();
}

/**
 * The segments in the files of a state (`LocalModel.saveState`), without the model that saved them.
 *
 * @throws ModelError (`MODEL_MISMATCH`) when they are not those of the partition.
 */
export function segmentsOfState(files: Files, partition: Partition): Segments {
  const segments = initialiseSegments(partition, { seed: 0 });
  decodeState(files, {
    segments,
    training: new Map(),
    partitionHash: hashPartition(partition),
    method: 'adamw',
  });
  return segments;
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

function segmentTensors(task: string, segment: Segment): NamedArray[] {
  return Object.entries(segment).flatMap(([linear, { rank, a, b }]) => [
    { name: `${task}/${linear}/a`, shape: [rank, a.length / rank], values: a },
    { name: `${task}/${linear}/b`, shape: [b.length / rank, rank], values: b },
  ]);
}

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
