export { checkYaml, type CheckedYaml, type CheckYamlOptions } from './check-yaml.js';
export { decodeText, encodingProblem, type EncodingProblem } from './decode-text.js';
export { toDot, toMermaid, toText } from './draw-graph.js';
export { findCycle } from './find-cycle.js';
export { nearestSpelling } from './nearest-spelling.js';
export { parseTasks, type ParseTasksOptions } from './parse-tasks.js';
export { quoteText, showText } from './quote-text.js';
export { renderInstruction, slotsOf } from './render-instruction.js';
export { taskFileJsonSchema } from './task-file-schema.js';
export { TaskGraphError, type TaskFileProblem, type TaskGraphErrorCode } from './task-graph-error.js';
export {
  ancestorsOf,
  areSiblings,
  buildTaskGraph,
  descendantsOf,
  levelsOf,
  orderTasks,
  siblingWaves,
  tasksOf,
  type TaskGraph,
} from './task-graph.js';
export type { AnswerSpec, DataSpec, Modality, TaskFile, TaskSpec } from './task-spec.js';
