export type { Chart, ChartRow, ChartSpan, Hatch, Look } from './chart.js';
export { describePlacement, describePlan } from './describe-plan.js';
export { drawGanttSvg, type DrawGanttSvgOptions } from './gantt-svg.js';
export { drawGanttText, type DrawGanttTextOptions } from './gantt-text.js';
export { runChart } from './run-chart.js';
export { stepChart } from './step-chart.js';
export { type TraceEvent, traceEvents, type TraceFile, traceRun } from './trace-events.js';
