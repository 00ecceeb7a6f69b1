/** Keys that an object of a JSON text has twice: `JSON.parse` keeps the last value without a word. */

/** The keys that are repeated within one object, at any depth, in a text that is valid JSON; linear in its length. */
export function repeatedKeys(json: string): string[] {
  const repeated: string[] = [];
  /** The keys of each open object; undefined for a list. */
  const open: (Set<string> | undefined)[] = [];
  for (let i = 0; i < json.length; i++) {
    const character = json[i];
    if (character === '{') open.push(new Set());
    else if (character === '[') open.push(undefined);
    else if (character === '}' || character === ']') open.pop();
    else if (character === '"') {
      const end = endOfString(json, i);
      const keys = open.at(-1);
      if (keys && nextMark(json, end) === ':') {
        // Escapes: "a" and "\u0061" are one key.
        const key = JSON.parse(json.slice(i, end)) as string;
        if (keys.has(key)) repeated.push(key);
        keys.add(key);
      }
      i = end - 1;
    }
  }
  return repeated;
}

/** The index after the closing quotation mark of the string that begins at `start`. */
function endOfString(json: string, start: number): number {
  let i = start + 1;
  while (json[i] !== '"') i += json[i] === '\\' ? 2 : 1;
  return i + 1;
}

function nextMark(json: string, from: number): string | undefined {
  let i = from;
  while (json[i] === ' ' || json[i] === '\t' || json[i] === '\r' || json[i] === '\n') i++;
  return json[i];
}
