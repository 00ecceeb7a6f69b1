/** Writes the JSON schemas that editors read next to the packages that they belong to; a test compares. Usage: npm run schemas */
import { writeFile } from 'node:fs/promises';

import { trainConfigJsonSchema } from '@contextlora/finetune';

await writeFile(
  new URL('../packages/finetune/train-config.schema.json', import.meta.url),
  `${JSON.stringify(trainConfigJsonSchema(), null, 2)}\n`,
);
