export { parseSafetensorsHeader, type SafetensorsEntry, type SafetensorsHeader } from './header.js';
export { decodeSafetensors, encodeSafetensors, type Safetensors } from './safetensors.js';
export { float32Tensor, toFloat32, toIntegers, type Dtype, type FileTensor } from './tensor.js';
