export { describePlacement, describePlan } from './describe-plan.js';
export { drawGanttSvg, type DrawGanttSvgOptions } from './gantt-svg.js';
export { drawGanttText, type DrawGanttTextOptions } from './gantt-text.js';
export {
  type CompleteEvent,
  type FlowEvent,
  type MetadataEvent,
  type TraceEvent,
  traceEvents,
  type TraceFile,
} from './trace-events.js';
