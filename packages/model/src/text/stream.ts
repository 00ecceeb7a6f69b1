/** Turns a growing list of ids into text in whole characters, without any part of a stop sequence. */
import type { TextTokenizer } from './tokenizer.js';

export interface TextStream {
  /** The text that the next id makes certain, possibly empty. */
  push(id: number): string;
  /** The text held back, after the last id. */
  end(): string;
  /** The stop sequence that was found; no text follows it. */
  readonly stopped: string | undefined;
}

/** A tokenizer's output for bytes that do not form a character yet. */
const replacement = '\ufffd';

/** Opens a stream, in which special tokens have no text. It decodes only a few ids at a time, however long the list becomes. */
export function openTextStream(tokenizer: TextTokenizer, stops: readonly string[] = []): TextStream {
  const ids: number[] = [];
  // Ids before `given` have been returned; those from `context` on are decoded again, because spaces depend on the preceding ids.
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

/** The earliest stop sequence in a text, the longest if several start there. */
function firstOf(text: string, stops: readonly string[]): { at: number; stop: string } | undefined {
  let found: { at: number; stop: string } | undefined;
  for (const stop of stops) {
    const at = text.indexOf(stop);
    if (at < 0) continue;
    if (!found || at < found.at || (at === found.at && stop.length > found.stop.length)) found = { at, stop };
  }
  return found;
}

/** The length of the longest suffix of a text that begins a stop sequence. */
function longestStart(text: string, stops: readonly string[]): number {
  let longest = 0;
  for (const stop of stops)
    for (let length = Math.min(stop.length - 1, text.length); length > longest; length--)
      if (stop.startsWith(text.slice(text.length - length))) longest = length;
  return longest;
}
