/** The variables of a part of a Jinja template. */
import type { Value } from './values.js';

export interface Scope {
  get(name: string): Value | undefined;
  set(name: string, value: Value): void;
}

/** Opens a scope; what it lacks is looked up in the outer one. */
export function openScope(outer?: Scope): Scope {
  const held = new Map<string, Value>();
  return {
    get: (name) => (held.has(name) ? held.get(name) : outer?.get(name)),
    set: (name, value) => {
      held.set(name, value);
    },
  };
}
