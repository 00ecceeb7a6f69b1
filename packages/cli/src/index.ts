export { CliError, type CliErrorCode } from './cli-error.js';
export type { CommandContext } from './command-context.js';
export type { CommandWorld } from './command-world.js';
export { drawGraph } from './drawings/draw-graph.js';
export { plotFront } from './drawings/plot-front.js';
export { plotLosses } from './drawings/plot-losses.js';
export { drawingFont, renderPng } from './drawings/render-png.js';
export { processWorld } from './process-world.js';
export { exitCodes, runCommandLine } from './run-command-line.js';
