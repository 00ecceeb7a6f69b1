export { differenceFrom, digestOf, sha256, type FileDigest } from './file-digests.js';
export { checkDigests, writeDigests, type FolderDigests } from './folder-digests.js';
export { hashPartition, hashSegment } from './hash-segment.js';
export { ifThere } from './if-there.js';
export { makeDirectory } from './make-directory.js';
export { readPartition, writePartition } from './partition-files.js';
export { targetedModules, type PeftTargets } from './peft-targets.js';
export { readPeftFolder, type PeftAdapter } from './read-peft-folder.js';
export {
  openSafetensors,
  readSafetensors,
  writeSafetensors,
  type OpenSafetensors,
} from './safetensors-files.js';
export { openSealed, sealJson } from './sealed-json.js';
export { withPath } from './with-path.js';
export { writePeftFolder, type WritePeftFolderOptions } from './write-peft-folder.js';
export { writeChunks, writeWhole } from './write-whole.js';
