export { fileCheckpoints } from './file-checkpoints.js';
export { readDataFile, readTaskRows } from './read-task-rows.js';
