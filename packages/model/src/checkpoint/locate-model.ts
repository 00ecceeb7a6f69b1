/** Finds a model by its path or by its name in the local Hugging Face cache. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { ifThere } from '@contextlora/lora/files';

import { ModelError } from '../model-error.js';

/**
 * The directory or GGUF file of a model. A path that exists is returned as it is, except that a directory with a single GGUF file and no
 * config.json becomes that file. A name such as `HuggingFaceTB/SmolLM2-135M` is looked up in `hubDirectory`, the cache that Hugging Face's
 * tools fill (`models--org--name/snapshots/<commit>`); `name@revision` asks for a branch, tag or commit other than main. Nothing is
 * downloaded.
 *
 * @throws ModelError saying how to obtain what is missing.
 */
export async function locateModel(
  name: string,
  { hubDirectory }: { readonly hubDirectory?: string } = {},
): Promise<string> {
  const found = await ifThere(stat(name));
  if (found?.isFile()) return name;
  if (found?.isDirectory()) return fileWithin(name);
  const missing = (what: string) => new ModelError('MODEL_FILE_MISSING', 'locateModel', what);
  const match = /^((?:[\w-][\w.-]*\/)?[\w-][\w.-]*)(?:@([\w-][\w.-]*))?$/.exec(name);
  const [, model, revision = 'main'] = match ?? [];
  if (model === undefined || name.endsWith('.gguf'))
    throw missing(`there is no file or directory ${name}; is the path right?`);
  const advice = `"hf download ${model}${revision === 'main' ? '' : ` --revision ${revision}`}" fetches it`;
  if (hubDirectory === undefined)
    throw missing(`there is no directory ${name}; if it is a model's name, ${advice}`);
  const repository = join(hubDirectory, `models--${model.replaceAll('/', '--')}`);
  if (!(await ifThere(stat(repository)))?.isDirectory())
    throw missing(
      `there is no directory ${name}, and the cache ${hubDirectory} has no model of that name; ${advice}`,
    );
  const commit = ((await ifThere(readFile(join(repository, 'refs', revision), 'utf8'))) ?? revision).trim();
  const snapshot = join(repository, 'snapshots', commit);
  if (!/^[\w-][\w.-]*$/.test(commit) || !(await ifThere(stat(snapshot)))?.isDirectory()) {
    const others = (await ifThere(readdir(join(repository, 'snapshots')))) ?? [];
    throw missing(
      `the cache ${repository} has no snapshot of ${revision}${others.length > 0 ? `, only ${others.join(', ')}` : ''}; ${advice}`,
    );
  }
  return fileWithin(snapshot);
}

async function fileWithin(directory: string): Promise<string> {
  const names = await readdir(directory);
  const files = names.filter((name) => name.endsWith('.gguf')).sort();
  const [file, ...others] = files;
  if (names.includes('config.json') || file === undefined) return directory;
  if (others.length === 0) return join(directory, file);
  throw new ModelError(
    'MODEL_INPUT_INVALID',
    'locateModel',
    `${directory} has several GGUF files; name one of ${files.join(', ')}`,
  );
}
