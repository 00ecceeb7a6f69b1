import CRC32 from 'crc-32';
import { inflate } from 'pako';

export const crc32 = (data: Uint8Array, seed = 0): number => CRC32.buf(data, seed) >>> 0;
export const inflateSync = (data: Uint8Array): Uint8Array => inflate(data);
