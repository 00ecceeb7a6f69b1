export { hashSegment } from './hash-segment.js';
export { makeDirectory } from './make-directory.js';
export { readPartition, writePartition } from './partition-files.js';
export { readPeftFolder, type PeftAdapter } from './read-peft-folder.js';
export { readSafetensors, writeSafetensors } from './safetensors-files.js';
export { writePeftFolder } from './write-peft-folder.js';
export { writeWhole } from './write-whole.js';
