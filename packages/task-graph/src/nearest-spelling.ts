/** The candidate that a misspelt word most likely means. */
import { distance } from 'fastest-levenshtein';

/**
 * The candidate at the smallest edit distance, ignoring case; among equals, the first.
 *
 * Undefined when more than a third of the letters differ; a single edit always counts as near.
 */
export function nearestSpelling(word: string, candidates: readonly string[]): string | undefined {
  const limit = Math.max(1, Math.floor(word.length / 3));
  const [best] = candidates
    // The lengths alone differ by as many edits; without this a long word would cost its length for every candidate.
    .filter((candidate) => Math.abs(candidate.length - word.length) <= limit)
    .map((candidate) => ({ candidate, edits: distance(word.toLowerCase(), candidate.toLowerCase()) }))
    .sort((p, q) => p.edits - q.edits);
  return best && best.edits <= limit ? best.candidate : undefined;
}
