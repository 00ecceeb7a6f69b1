/** Text of a growing list of ids, piece by piece: never half a character, and never a part of a stop sequence. */
import type { TextTokenizer } from './tokenizer.js';

export interface TextStream {
  /** The text that the next id makes certain, perhaps none. */
  push(id: number): string;
  /** What was held back, once no more ids come. */
  end(): string;
  /** The stop sequence that was met; nothing comes after it. */
  readonly stopped: string | undefined;
}

/** What a tokenizer shows for bytes that are no character yet. */
const replacement = '\ufffd';

/** Special tokens have no text. Decodes a few ids at a time, however long the list becomes. */
export function openTextStream(tokenizer: TextTokenizer, stops: readonly string[] = []): TextStream {
  const ids: number[] = [];
  // Ids up to `given` have been shown; those from `context` on are decoded along, because spaces depend on what stands before.
  let [context, given] = [0, 0];
  let held = '';
  let stopped: string | undefined;
  const textOf = (from: number, to: number) =>
    tokenizer.decode(ids.slice(from, to), { skipSpecialTokens: true });

  const certain = (isLast: boolean) => {
    const shown = textOf(context, given);
    const all = textOf(context, ids.length);
    if (!isLast && all.endsWith(replacement)) return '';
    [context, given] = [given, ids.length];
    return all.slice(shown.length);
  };
  const release = (text: string, isLast: boolean) => {
    held += text;
    const met = firstOf(held, stops);
    if (met) {
      stopped = met.stop;
      const before = held.slice(0, met.at);
      held = '';
      return before;
    }
    const kept = isLast ? 0 : longestStart(held, stops);
    const free = held.slice(0, held.length - kept);
    held = held.slice(held.length - kept);
    return free;
  };

  return {
    push(id) {
      if (stopped !== undefined) return '';
      ids.push(id);
      return release(certain(false), false);
    },
    end: () => (stopped === undefined ? release(certain(true), true) : ''),
    get stopped() {
      return stopped;
    },
  };
}

/** The earliest stop sequence in a text, the longest of those that start there. */
function firstOf(text: string, stops: readonly string[]): { at: number; stop: string } | undefined {
  let found: { at: number; stop: string } | undefined;
  for (const stop of stops) {
    const at = text.indexOf(stop);
    if (at < 0) continue;
    if (!found || at < found.at || (at === found.at && stop.length > found.stop.length)) found = { at, stop };
  }
  return found;
}

/** Length of the longest end of a text with which a stop sequence begins. */
function longestStart(text: string, stops: readonly string[]): number {
  let longest = 0;
  for (const stop of stops)
    for (let length = Math.min(stop.length - 1, text.length); length > longest; length--)
      if (stop.startsWith(text.slice(text.length - length))) longest = length;
  return longest;
}
