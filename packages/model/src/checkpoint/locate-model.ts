/** From what a user calls a model to where it lies: a path, or a name in the local cache of Hugging Face. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { ModelError } from '../model-error.js';

/**
 * The directory or GGUF file of a model. A path that exists is itself, but a directory with a single GGUF file and no config.json is
 * that file. A name such as `HuggingFaceTB/SmolLM2-135M` is looked for in `hubDirectory`, the cache that Hugging Face's tools fill
 * (`models--org--name/snapshots/<commit>`); `name@revision` asks for a branch, tag or commit other than main. Nothing is downloaded.
 *
 * @throws ModelError saying how to obtain what is not there.
 */
export async function locateModel(
  name: string,
  { hubDirectory }: { readonly hubDirectory?: string } = {},
): Promise<string> {
  const found = await stat(name).catch(() => undefined);
  if (found?.isFile()) return name;
  if (found?.isDirectory()) return fileWithin(name);
  const match = /^((?:[\w-][\w.-]*\/)?[\w-][\w.-]*)(?:@([\w-][\w.-]*))?$/.exec(name);
  const [, model, revision = 'main'] = match ?? [];
  if (model === undefined || name.endsWith('.gguf'))
    throw new ModelError('locateModel', `there is no file or directory ${name}; is the path right?`);
  const advice = `"hf download ${model}${revision === 'main' ? '' : ` --revision ${revision}`}" fetches it`;
  if (hubDirectory === undefined)
    throw new ModelError('locateModel', `there is no directory ${name}; if it is a model's name, ${advice}`);
  const repository = join(hubDirectory, `models--${model.replaceAll('/', '--')}`);
  if (!(await stat(repository).catch(() => undefined))?.isDirectory())
    throw new ModelError(
      'locateModel',
      `there is no directory ${name}, and the cache ${hubDirectory} has no model of that name; ${advice}`,
    );
  const commit = (await readFile(join(repository, 'refs', revision), 'utf8').catch(() => revision)).trim();
  const snapshot = join(repository, 'snapshots', commit);
  if (!/^[\w-][\w.-]*$/.test(commit) || !(await stat(snapshot).catch(() => undefined))?.isDirectory()) {
    const others = await readdir(join(repository, 'snapshots')).catch(() => []);
    throw new ModelError(
      'locateModel',
      `the cache ${repository} has no snapshot of ${revision}${others.length > 0 ? `, only ${others.join(', ')}` : ''}; ${advice}`,
    );
  }
  return fileWithin(snapshot);
}

async function fileWithin(directory: string): Promise<string> {
  const names = await readdir(directory);
  const files = names.filter((name) => name.endsWith('.gguf')).sort();
  if (names.includes('config.json') || files.length === 0) return directory;
  if (files.length === 1) return join(directory, files[0]!);
  throw new ModelError('locateModel', `${directory} has several GGUF files; name one of ${files.join(', ')}`);
}
