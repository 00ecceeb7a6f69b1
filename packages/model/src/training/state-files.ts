/** A model's segments and optimizer state as safetensors files. */
import type { Segment, Segments } from '@contextlora/lora';
import {
  decodeSafetensors,
  encodeSafetensors,
  type FileTensor,
  float32Tensor,
  toFloat32,
} from '@contextlora/lora/safetensors';

import { ModelError } from '../model-error.js';
import type { TrainedParameters } from './trained-parameters.js';

type Files = Readonly<Record<string, Uint8Array>>;
const segmentsFile = 'segments.safetensors';
const optimizerFile = (task: string) => `optimizer-${task}.safetensors`;

/** Encodes all segments, and the optimizer state of each task in training. */
export function encodeState(segments: Segments, training: ReadonlyMap<string, TrainedParameters>): Files {
  const tensors = Object.entries(segments).flatMap(([task, segment]) => segmentTensors(task, segment));
  const files: Record<string, Uint8Array> = { [segmentsFile]: encodeSafetensors(tensors) };
  for (const [task, { firstMoment, secondMoment, step }] of training) {
    const moment = (values: Float32Array) => float32Tensor([values.length], values);
    files[optimizerFile(task)] = encodeSafetensors(
      [
        ['first', moment(firstMoment)],
        ['second', moment(secondMoment)],
      ],
      { step: String(step) },
    );
  }
  return files;
}

/** Reads a state back into the segments' arrays and the optimizer state of the tasks in training. @throws ModelError when it does not fit. */
export function decodeState(
  files: Files,
  segments: Segments,
  training: ReadonlyMap<string, TrainedParameters>,
): void {
  const mismatch = (what: string) => new ModelError('MODEL_MISMATCH', 'restoreState', what);
  const saved = files[segmentsFile];
  if (!saved) throw mismatch(`the state has no ${segmentsFile}`);
  const { tensors } = decodeSafetensors(saved, segmentsFile);
  for (const [task, segment] of Object.entries(segments))
    for (const [linear, matrices] of Object.entries(segment))
      for (const side of ['a', 'b'] as const) {
        const tensor = tensors.get(`${task}/${linear}/${side}`);
        const values = tensor && toFloat32(tensor);
        if (values?.length !== matrices[side].length)
          throw mismatch(
            `the state does not fit the partition: ${task}/${linear}/${side}; was the rank changed?`,
          );
        matrices[side].set(values);
      }
  for (const [task, trained] of training) {
    const name = optimizerFile(task);
    const file = files[name];
    if (!file) continue;
    const { tensors: moments, metadata } = decodeSafetensors(file, name);
    for (const [moment, target] of [
      ['first', trained.firstMoment],
      ['second', trained.secondMoment],
    ] as const) {
      const tensor = moments.get(moment);
      if (tensor) target.set(toFloat32(tensor));
    }
    trained.step = Number(metadata['step'] ?? 0);
  }
}

function segmentTensors(task: string, segment: Segment): [string, FileTensor][] {
  return Object.entries(segment).flatMap(([linear, { rank, a, b }]): [string, FileTensor][] => [
    [`${task}/${linear}/a`, float32Tensor([rank, a.length / rank], a)],
    [`${task}/${linear}/b`, float32Tensor([b.length / rank, rank], b)],
  ]);
}
