export { fileCheckpoints } from './file-checkpoints.js';
export { readTaskRows } from './read-task-rows.js';
