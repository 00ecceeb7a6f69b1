/** JSON files that show by themselves whether they were changed: their last key, `seal`, is the SHA-256 of all the others. */
import { sha256 } from './file-digests.js';

/** The text of a sealed JSON object. */
export function sealJson(value: object): string {
  const seal = sha256(JSON.stringify(value, null, 2));
  return `${JSON.stringify({ ...value, seal }, null, 2)}\n`;
}

/**
 * The object in a sealed text, without its seal; or, in words that follow the name of the file, why it cannot be used, and whether it has no
 * seal at all, as one that an earlier version wrote.
 */
export function openSealed(
  text: string,
): { value: Record<string, unknown> } | { problem: string; isUnsealed: boolean } {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    return { problem: `is not JSON (${(cause as Error).message})`, isUnsealed: false };
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    return { problem: 'is not a JSON object', isUnsealed: false };
  const { seal, ...value } = parsed as Record<string, unknown>;
  if (seal === undefined)
    return {
      problem: 'has no digests, so that nothing proves the files; an earlier version wrote it',
      isUnsealed: true,
    };
  // The text is compared, not the values: nothing in the file is left unproved, not even its spaces.
  if (sealJson(value) !== text)
    return { problem: 'was changed after it was written (it does not fit its seal)', isUnsealed: false };
  return { value };
}
