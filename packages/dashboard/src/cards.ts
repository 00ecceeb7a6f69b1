export { TaskCard } from './page/task-card.js';
export { TaskGraphCard } from './page/task-graph-card.js';
export { type ColourOf, coloursOfRun } from './page/colours.js';
export { duration, percent } from './page/format.js';
export { LossesCard } from './page/losses-card.js';
export { PartitionCard } from './page/partition-card.js';
export { PlanCard } from './page/plan-card.js';
export { viewOfRun } from './view/view-of-run.js';
