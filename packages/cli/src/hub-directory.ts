/** Where Hugging Face's tools keep what they download, as they decide it themselves. */
import { homedir } from 'node:os';
import { join } from 'node:path';

/** `HF_HUB_CACHE`, else `hub` in `HF_HOME`, else in `huggingface` of the user's cache directory. */
export function hubDirectoryOf(environment: Readonly<Record<string, string | undefined>>): string {
  const given = environment['HF_HUB_CACHE'] ?? environment['HUGGINGFACE_HUB_CACHE'];
  if (given) return given;
  const home = environment['HF_HOME'];
  if (home) return join(home, 'hub');
  return join(environment['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'huggingface', 'hub');
}
