/** Arguments of calls, put in the order of a function's parameters. */
import type { Given, Value } from './values.js';

/** The value of each parameter, undefined where none is given. @throws Error for too many arguments or an unknown name. */
export function bind({ positional, named }: Given, names: readonly string[]): (Value | undefined)[] {
  if (positional.length > names.length)
    throw new Error(`a call has ${positional.length} arguments, and at most ${names.length} are expected`);
  for (const name of named.keys()) {
    const at = names.indexOf(name);
    if (at < 0)
      throw new Error(`a call has an argument "${name}", which is unknown; known are ${names.join(', ')}`);
    if (at < positional.length) throw new Error(`a call has the argument "${name}" twice`);
  }
  return names.map((name, i) => (i < positional.length ? positional[i] : named.get(name)));
}
