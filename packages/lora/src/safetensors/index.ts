export { parseSafetensorsHeader, type SafetensorsEntry, type SafetensorsHeader } from './header.js';
export { decodeSafetensors, encodeSafetensors, type Safetensors } from './safetensors.js';
export { streamSafetensors, type TensorSource } from './stream.js';
export {
  float32Tensor,
  fromFloat32,
  halfToFloat,
  toFloat32,
  toIntegers,
  type Dtype,
  type FileTensor,
} from './tensor.js';
