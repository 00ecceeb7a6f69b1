export type { PhaseSetting, Prediction, StepOptions, StepResult, TrainableModel } from './trainable-model.js';
