/** Pictures or sounds in folders by label: `<folder>/<label>/<file>`. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import type { TaskSpec } from '@contextlora/task-graph';

import { collectRows, type DataFile, onlyProblem } from '../answers/data-file.js';
import { readAnswer } from '../answers/read-answer.js';
import { openRowReader, type RowRules } from '../answers/read-row.js';

/** The pictures of every label, or its sounds if the task hears and does not see, in the order of the names of folders and files; hidden files are passed over. */
export async function readLabelFolders(path: string, task: TaskSpec, rules: RowRules): Promise<DataFile> {
  const kind = task.inputs.includes('audio') && !task.inputs.includes('image') ? 'audio' : 'image';
  const unit = kind === 'audio' ? 'sound' : 'picture';
  if (task.answer.type !== 'label')
    return onlyProblem(
      `a folder of ${unit}s by label, but task "${task.id}" has no labels; name a file with its rows`,
    );
  const readRow = openRowReader(task, rules);
  const found = collectRows(unit);
  let count = 0;
  const folders = await entriesOf(path);
  if (folders.length === 0)
    return onlyProblem(`the folder has no ${unit}s; it should have a folder of ${unit}s for each label`);
  for (const folder of folders) {
    const label = readAnswer(folder.name, task, { field: 'the name of the folder' });
    if (!folder.isDirectory())
      found.add(count + 1, [() => `${folder.name} lies beside the folders of the labels; move it into one`]);
    else if ('problem' in label) found.add(count + 1, [label.problem]);
    else {
      const files = await entriesOf(join(path, folder.name));
      if (files.length === 0) found.add(count + 1, [() => `the folder "${folder.name}" is empty; remove it`]);
      for (const file of files) {
        count += 1;
        const name = `${folder.name}/${file.name}`;
        found.add(
          count,
          file.isDirectory()
            ? [() => `${name} is a folder; the folder of a label holds only ${unit}s`]
            : readRow({ [kind]: join(path, name), answer: folder.name }),
        );
      }
    }
  }
  return found.dataFile();
}

/** By name, in an order that is the same on every machine. */
const entriesOf = async (path: string) =>
  (await readdir(path, { withFileTypes: true }))
    .filter(({ name }) => !name.startsWith('.') && name !== 'Thumbs.db')
    .sort((a, b) => (a.name < b.name ? -1 : 1));
