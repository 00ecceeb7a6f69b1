export { fileCheckpoints } from './file-checkpoints.js';
export { readDataFile, type ReadDataFileOptions } from './read-data-file.js';
export { readTaskRows } from './read-task-rows.js';
