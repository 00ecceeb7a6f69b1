/** Labels that no training row has: they can be chosen, but nothing teaches when. */
import { mostCompared } from './shared-inputs.js';
import type { TaskData } from './task-data.js';

/** One warning per task with such labels. */
export function unseenLabels({ file, rows }: Pick<TaskData, 'file' | 'rows'>): string[] {
  return file.tasks.flatMap(({ id, answer }) => {
    const train = rows[id]?.train ?? [];
    if (answer.type !== 'label' || train.length === 0 || train.length > mostCompared) return [];
    const unseen = new Set(answer.labels);
    for (const row of train) {
      unseen.delete(row.answer);
      if (unseen.size === 0) return [];
    }
    const [first = '', ...others] = unseen;
    return [
      `task "${id}": no training row has the label "${first}"${others.length > 0 ? `, nor ${others.length === 1 ? `"${others[0] ?? ''}"` : `${others.length} others`}` : ''}, so nothing teaches when to answer it`,
    ];
  });
}
