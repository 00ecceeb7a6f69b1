/** Writes the JSON schemas that editors and clients read next to the packages that they belong to; tests compare. Usage: npm run schemas */
import { writeFile } from 'node:fs/promises';

import { trainConfigJsonSchema } from '@contextlora/finetune';
import { openApiDocument } from '@contextlora/serve';

const write = (path: string, schema: unknown) =>
  writeFile(new URL(`../packages/${path}`, import.meta.url), `${JSON.stringify(schema, null, 2)}\n`);

await write('finetune/train-config.schema.json', trainConfigJsonSchema());
await write('serve/openapi.json', openApiDocument());
