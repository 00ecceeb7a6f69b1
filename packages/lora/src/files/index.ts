export { differenceFrom, digestOf, type FileDigest } from './file-digests.js';
export { checkDigests, writeDigests, type FolderDigests } from './folder-digests.js';
export { hashPartition, hashSegment } from './hash-segment.js';
export { readPartition, writePartition } from './partition-files.js';
export { readPeftFolder, type PeftAdapter } from './read-peft-folder.js';
export { readSafetensors, writeSafetensors } from './safetensors-files.js';
export { openSealed, sealJson } from './sealed-json.js';
export { writePeftFolder } from './write-peft-folder.js';
export { writeWhole } from './write-whole.js';
