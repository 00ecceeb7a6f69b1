/** The model that a command line names. */
import { stat } from 'node:fs/promises';

import { embeddedName, embeddedScenario } from '@contextlora/benchmarks';
import { ifThere } from '@contextlora/lora/files';
import { locateModel } from '@contextlora/model';

import type { CommandContext } from '../command-context.js';

/** The path of a model; `embedded` is the small one that comes with the command, unless something here has that name. */
export async function locateGivenModel(
  name: string,
  context: Pick<CommandContext, 'hubDirectory'>,
): Promise<string> {
  if (name === embeddedName && (await ifThere(stat(name))) === undefined)
    return embeddedScenario().modelDirectory;
  return locateModel(name, context);
}
