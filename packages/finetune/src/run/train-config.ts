/** A configuration of a run, as a YAML file or flags give it: its schema is the one source of keys, checks, help and editor support. */
import * as z from 'zod';

import { byTask, count, oneOf, share, text, whole, within } from './setting-values.js';

const optimizer = {
  optimizer: oneOf('adamw', 'sgd', 'lion')
    .exactOptional()
    .describe('adamw, sgd or lion; the last two need a learning rate of their own (adamw)'),
  weightDecay: within(0, 1e4, 'at least')
    .exactOptional()
    .describe(
      'share of the weights that is taken off per step, times the learning rate; of sgd it is added to the gradient (0)',
    ),
  clipNorm: z
    .union([within(0, Number.MAX_VALUE, 'above'), z.literal('none')], {
      error: () => 'must be a number above 0, or none',
    })
    .exactOptional()
    .describe("the largest norm of a step's gradient, over the trained segment alone (1)"),
  beta1: share().exactOptional().describe('adamw and lion: decay of the mean of the gradients (0.9)'),
  beta2: share()
    .exactOptional()
    .describe('adamw: decay of the mean of their squares; lion: of the mean that is kept (0.99)'),
  epsilon: within(0, 1, 'above').exactOptional().describe('adamw: added to the root of the latter (1e-8)'),
  momentum: share()
    .exactOptional()
    .describe('sgd: the part of the momentum that stays from step to step (0)'),
  nesterov: z
    .boolean({ error: () => 'must be true or false' })
    .exactOptional()
    .describe('sgd: whether a step looks ahead by its momentum (false)'),
};

/** What decides the result of a run. */
const settings = {
  seed: whole(0).exactOptional().describe('random seed for adapters and batches (0)'),
  steps: byTask(count(1_000_000)).exactOptional().describe('optimizer steps per task (250)'),
  epochs: byTask(within(0, 1e6, 'above'))
    .exactOptional()
    .describe('passes over the training rows, instead of steps'),
  batchSize: count(65_536).exactOptional().describe('examples per optimizer step (16)'),
  microBatches: count(65_536)
    .exactOptional()
    .describe('parts of a batch, computed one after the other to save memory; gradients are averaged (1)'),
  batches: byTask(oneOf('shuffled', 'byLength', 'balanced'))
    .exactOptional()
    .describe('shuffled, byLength (similar lengths together), or balanced (labels equally often) (shuffled)'),
  rank: byTask(count(65_536))
    .exactOptional()
    .describe('ranks per linear layer, divided among all tasks, or the ranks of each task (32)'),
  allocation: oneOf('uniform', 'share', 'data', 'level', 'importance')
    .exactOptional()
    .describe(
      "how the ranks are divided: uniform, by the tasks' share, by rows, by level and depth, or by importance, measured from gradients (share)",
    ),
  alpha: byTask(within(0, 1e6, 'above'))
    .exactOptional()
    .describe("alpha of a task's segment (twice its largest rank)"),
  scaling: oneOf('standard', 'rslora')
    .exactOptional()
    .describe('segments are scaled by alpha / rank, or alpha / √rank (standard)'),
  targets: byTask(z.array(text(), { error: () => 'must be a list of names, as in [q_proj, v_proj]' }).min(1))
    .exactOptional()
    .describe('linear layers that get ranks, by the ends of their names (all)'),
  layers: byTask(
    z.strictObject(
      { from: whole(0), to: count() },
      { error: () => 'must be a range of decoder layers, as in { from: 2, to: 4 }, without the last' },
    ),
  )
    .exactOptional()
    .describe('decoder layers that get ranks, `to` exclusive (all)'),
  learningRate: byTask(within(0, 1, 'above'))
    .exactOptional()
    .describe('peak learning rate (0.003)'),
  schedule: oneOf('cosine', 'linear', 'constant')
    .exactOptional()
    .describe('how the rate falls after its warm-up: cosine, linear or constant (cosine)'),
  warmupSteps: whole(0).exactOptional().describe('first steps, scaled up linearly (20)'),
  warmupShare: share().exactOptional().describe("the same as a share of a task's steps"),
  rateFloor: share().exactOptional().describe('where the rate ends, as a share of its peak (0)'),
  ...optimizer,
  loraDropout: byTask(within(0, 0.9, 'at least'))
    .exactOptional()
    .describe("the share of a linear's inputs that a task's segment leaves out of a step (0)"),
  evaluateEverySteps: count(1_000_000)
    .exactOptional()
    .describe(
      'steps between two evaluations on the validation rows, of which the best one decides which state is kept (the last state is kept; with earlyStopping 25)',
    ),
  earlyStopping: count(1_000_000)
    .exactOptional()
    .describe('evaluations in a row without a better one after which a task ends (never)'),
  parentAnswers: byTask(
    z.union([oneOf('gold', 'annotated', 'predicted'), share()], {
      error: () => 'must be gold, annotated, predicted, or the share of rows with predicted answers',
    }),
  )
    .exactOptional()
    .describe(
      "parents' answers in training prompts: gold, annotated (predicted where a row has none), predicted, or a share of predicted ones (gold)",
    ),
  imageDropout: byTask(share()).exactOptional().describe('how often a drawn row loses its image (0)'),
  textDropout: byTask(share()).exactOptional().describe('how often a drawn row loses its text (0)'),
  promptLoss: z
    .boolean({ error: () => 'must be true or false' })
    .exactOptional()
    .describe('train on the tokens of the prompts too, not on the answers alone (false)'),
  chatTemplate: z
    .boolean({ error: () => 'must be true or false' })
    .exactOptional()
    .describe("ask through the model's chat template, in training and after (false)"),
  baseFormat: oneOf('f32', 'stored', 'f16', 'int8', 'q8_0', 'q4_0', 'q4_1', 'w8a8')
    .exactOptional()
    .describe(
      "the format that the base's weights are kept in; w8a8 also multiplies in integers (f32; of a GGUF file: stored)",
    ),
  packing: z
    .literal(false, {
      error: () =>
        'is not supported, because examples in one row would see each other; batches: byLength pads little',
    })
    .exactOptional()
    .describe('several examples in one row: not supported'),
};

/** What decides how a run reads its rows and uses the machine: its effect stands in the data, or nowhere. */
const handling = {
  longRows: oneOf('refuse', 'skip', 'truncate')
    .exactOptional()
    .describe('rows that are too long: refuse, skip (training rows), or truncate (their text) (refuse)'),
  maximumTokens: count()
    .exactOptional()
    .describe("the most tokens of a row with its answer (the model's positions)"),
  truncationSide: oneOf('right', 'left')
    .exactOptional()
    .describe('the side on which truncate cuts a text (right)'),
  threads: whole(0).exactOptional().describe('threads per native operation (1)'),
  saveEverySteps: count().exactOptional().describe('steps between two checkpoints in a phase (100)'),
};

/** The schema of a configuration. */
export const trainConfigSchema = () => z.strictObject({ ...settings, ...handling });

/** A configuration: every key is optional. */
export type TrainConfig = z.infer<ReturnType<typeof trainConfigSchema>>;

/** Decoder layers, `to` exclusive. */
export interface LayerRange {
  readonly from: number;
  readonly to: number;
}

/** The keys of a configuration that decide the result. */
export type SettingKey = keyof typeof settings;
export const settingKeys = Object.keys(settings) as readonly SettingKey[];

/** JSON Schema (draft 2020-12) of a configuration file, for editors; `train-config.schema.json` in this package. */
export function trainConfigJsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(trainConfigSchema(), { io: 'input' });
}
