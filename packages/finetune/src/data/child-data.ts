/** What the training prompts of a task show: whose answers of its parents, and how often its image or text is missing. */
import { slotsOf, type TaskSpec } from '@contextlora/task-graph';
import { answerSlots } from '@contextlora/trainer';

import { type ByTask, isByTask, ofTask } from '../run/setting-values.js';

/**
 * Whose answers of parents stand in training prompts: `gold`, the right ones, and a row without them is refused; `annotated`, the right ones
 * where a row has them, else those that the trained parents give; `predicted`, always those that the parents give; or the share of rows
 * with predicted answers, the others being `annotated`.
 */
export type ParentAnswers = 'gold' | 'annotated' | 'predicted' | number;

export interface ChildDataSettings {
  /** @default 'gold' */
  readonly parentAnswers?: ByTask<ParentAnswers>;
  /** How often a drawn row loses its image, 0 to 1; of tasks that have something else to read. @default 0 */
  readonly imageDropout?: ByTask<number>;
  /** The same of its text. @default 0 */
  readonly textDropout?: ByTask<number>;
}

/** {@link ChildDataSettings} as they act on one task. */
export interface ChildData {
  /** The share of rows whose parents' answers are predicted; the others have predicted ones only where they lack right ones. */
  readonly predictedShare: number | 'none';
  readonly imageDropout: number;
  readonly textDropout: number;
}

/** The settings of a task; one that cannot act on it is off. */
export function childDataOf(settings: ChildDataSettings, task: TaskSpec): ChildData {
  const answers = ofTask<ParentAnswers>(settings.parentAnswers, task.id) ?? 'gold';
  const share = { gold: 'none', annotated: 0, predicted: 1 } as const;
  return {
    predictedShare: !hasParentSlots(task) ? 'none' : typeof answers === 'number' ? answers : share[answers],
    imageDropout: canLoseImage(task) ? (ofTask(settings.imageDropout, task.id) ?? 0) : 0,
    textDropout: canLoseText(task) ? (ofTask(settings.textDropout, task.id) ?? 0) : 0,
  };
}

/** Settings that would act on no task, or not on the one that they name. */
export function childDataProblems(settings: ChildDataSettings, tasks: readonly TaskSpec[]): string[] {
  const rules = [
    ['parentAnswers', hasParentSlots, "has no slot for a parent's answer"],
    ['imageDropout', canLoseImage, 'takes no image, or would have nothing to read without it'],
    ['textDropout', canLoseText, 'has no slot {text}, or would have nothing to read without it'],
  ] as const;
  return rules.flatMap(([key, acts, reason]) => {
    const setting: ByTask<ParentAnswers> | undefined = settings[key];
    if (setting === undefined || setting === 'gold' || setting === 0) return [];
    if (!isByTask(setting))
      return tasks.some(acts) ? [] : [`"${key}" has no effect, because every task ${reason}; leave it out`];
    return tasks
      .filter((task) => !acts(task) && ![undefined, 'gold', 0].includes(ofTask(setting, task.id)))
      .map(({ id }) => `"${key}" names task "${id}", which ${reason}; leave it out`);
  });
}

const hasParentSlots = (task: TaskSpec) => answerSlots(task).length > 0;
const takesImage = ({ inputs }: TaskSpec) => inputs.includes('image');
const takesAudio = ({ inputs }: TaskSpec) => inputs.includes('audio');
const takesText = ({ instruction }: TaskSpec) => slotsOf(instruction).includes('text');
const canLoseImage = (task: TaskSpec) =>
  takesImage(task) && (takesText(task) || takesAudio(task) || hasParentSlots(task));
const canLoseText = (task: TaskSpec) =>
  takesText(task) && (takesImage(task) || takesAudio(task) || hasParentSlots(task));
