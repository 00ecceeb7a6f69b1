/** The directory in which Hugging Face's tools keep downloads, by their own rules. */
import { homedir } from 'node:os';
import { join } from 'node:path';

/** `HF_HUB_CACHE`, or `hub` in `HF_HOME`, or `huggingface/hub` in the user's cache directory. */
export function hubDirectoryOf(environment: Readonly<Record<string, string | undefined>>): string {
  const given = environment['HF_HUB_CACHE'] ?? environment['HUGGINGFACE_HUB_CACHE'];
  if (given) return given;
  const home = environment['HF_HOME'];
  if (home) return join(home, 'hub');
  return join(environment['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'huggingface', 'hub');
}
