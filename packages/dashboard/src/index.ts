export { DashboardError, type DashboardErrorCode } from './dashboard-error.js';
export { renderPage, type RenderPageOptions } from './render-page.js';
export type { Asked } from './serve/read-asked.js';
export { serveDashboard, type ServeDashboardOptions, type ServedDashboard } from './serve/serve-dashboard.js';
export { readRunView, type ReadRunViewOptions } from './view/read-run-view.js';
export type {
  AccuracyView,
  AnswerView,
  LinearView,
  LossPoint,
  PhaseView,
  PlanView,
  QuestionView,
  RunView,
  TaskView,
} from './view/run-view.js';
