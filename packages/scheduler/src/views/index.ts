export { describePlacement, describePlan } from './describe-plan.js';
export { drawGanttSvg, type DrawSvgOptions } from './gantt-svg.js';
export { drawGanttText } from './gantt-text.js';
export { drawRunSvg } from './run-svg.js';
export { drawRunText } from './run-text.js';
export type { DrawTextOptions } from './text-chart.js';
export {
  type CompleteEvent,
  type FlowEvent,
  type MetadataEvent,
  type TraceEvent,
  traceEvents,
  type TraceFile,
  traceRun,
} from './trace-events.js';
