/** Finds the files of a tokenizer in a model's directory, as transformers 5 does. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { ifThere } from '@contextlora/lora/files';

import { readModelIds } from '../checkpoint/end-ids.js';
import { ModelError } from '../model-error.js';
import type { Config } from '../spec/config-reader.js';
import { readJsonObject, readText } from '../spec/read-json.js';
import { asLlamaClass } from './llama-class.js';
import { tekkenTokenizer } from './tekken.js';
import { templateFiles } from './template-places.js';
import { type ModelIds, openTokenizer, type TextTokenizer } from './tokenizer.js';

/**
 * Reads tokenizer.json, or else Mistral's tekken.json, and if present tokenizer_config.json, special_tokens_map.json and the chat templates. Begin and end tokens that
 * they do not name come from generation_config.json or config.json, or from `modelIds`.
 *
 * @throws ModelError when a file is missing, damaged or not supported.
 */
export async function readTokenizer(
  directory: string,
  { modelIds }: { readonly modelIds?: ModelIds } = {},
): Promise<TextTokenizer> {
  const path = join(directory, 'tokenizer.json');
  const json = await readPart(directory, 'tokenizer.json');
  if (json === undefined) {
    const tekken = await readPart(directory, 'tekken.json');
    if (tekken === undefined)
      throw new ModelError(
        'MODEL_FILE_MISSING',
        'readTokenizer',
        `${directory} has no tokenizer.json (nor a tekken.json); download the model again`,
      );
    const where = join(directory, 'tekken.json');
    const files = tekkenTokenizer(tekken, where);
    return openTokenizer({ ...files, modelIds: modelIds ?? (await readModelIds(directory)) }, where);
  }
  const config = (await readPart(directory, 'tokenizer_config.json')) ?? {};
  // Old files keep the names apart; a newer config lists all tokens itself.
  const map =
    'added_tokens_decoder' in config ? undefined : await readPart(directory, 'special_tokens_map.json');
  const template = await findTemplate(directory, config);
  // Not here: `add_bos_token`, which transformers 5 ignores beside a tokenizer.json.
  const architecture = (await readPart(directory, 'config.json'))?.['model_type'];
  return openTokenizer(
    {
      json: asLlamaClass(json, config, architecture),
      config: { ...config, ...map, chat_template: template },
      modelIds: modelIds ?? (await readModelIds(directory)),
    },
    path,
  );
}

async function findTemplate(directory: string, config: Config): Promise<unknown> {
  const ofTokenizer = (await fileTemplates(directory)) ?? config['chat_template'];
  const processor = await readPart(directory, templateFiles.processor);
  const old = await readPart(directory, templateFiles.old);
  const ofProcessor = processor?.['chat_template'] ?? old?.['chat_template'];
  // Only a model that has a processor is asked through it.
  const hasProcessor =
    processor !== undefined || (await readPart(directory, 'preprocessor_config.json')) !== undefined;
  return hasProcessor ? (ofProcessor ?? ofTokenizer) : (ofTokenizer ?? ofProcessor);
}

async function fileTemplates(directory: string): Promise<object[] | undefined> {
  const main = await readText(join(directory, templateFiles.main), 'readTokenizer');
  const names = ((await ifThere(readdir(join(directory, templateFiles.folder)))) ?? []).filter((name) =>
    name.endsWith('.jinja'),
  );
  const others = await Promise.all(
    names.toSorted().map(async (name) => ({
      name: name.slice(0, -'.jinja'.length),
      template: await readText(join(directory, templateFiles.folder, name), 'readTokenizer'),
    })),
  );
  const found = [...(main === undefined ? [] : [{ name: 'default', template: main }]), ...others];
  return found.length > 0 ? found : undefined;
}

const readPart = (directory: string, name: string) => readJsonObject(join(directory, name), 'readTokenizer');
