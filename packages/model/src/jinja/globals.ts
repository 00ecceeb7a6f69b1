/** The functions that every template has, as transformers defines them. */
import { Callable, Dict, type Given, iterate, Namespace, type Value, valueOr, View } from './values.js';
import { str } from './python-text.js';

/** The limit of Jinja's sandbox, in which transformers runs templates. */
const longestRange = 100_000;

function range({ positional }: Given): Value {
  const bounds = positional.map((bound) => {
    if (typeof bound === 'number' || typeof bound === 'boolean') return Number(bound);
    throw new Error('range needs integers');
  });
  const [first, end, step = 1] = bounds;
  if (first === undefined || bounds.length > 3) throw new Error('range needs one to three integers');
  if (step === 0) throw new Error('the step of a range cannot be zero');
  const [from, to] = end === undefined ? [0, first] : [first, end];
  const length = Math.max(0, Math.ceil((to - from) / step));
  if (length > longestRange) throw new Error(`its range has more than ${longestRange} numbers`);
  const text = step === 1 ? `range(${from}, ${to})` : `range(${from}, ${to}, ${step})`;
  return new View(
    'range',
    Array.from({ length }, (_, i) => from + i * step),
    text,
  );
}

/** The pairs of a dict, or of a list of pairs, and of named arguments. */
function pairsOf({ positional, named }: Given): [Value, Value][] {
  const [start] = positional;
  if (positional.length > 1) throw new Error('dict and namespace take one value');
  const given =
    start === undefined
      ? []
      : start instanceof Dict
        ? start.entries().map(([key, value]): [Value, Value] => [key, value])
        : iterate(start).map((pair): [Value, Value] => {
            const items = iterate(pair);
            if (items.length !== 2) throw new Error('dict and namespace take pairs');
            return [items[0] ?? null, items[1] ?? null];
          });
  return [...given, ...named];
}

/** `lipsum`, which writes random text, is left out. */
export const globals: Readonly<Record<string, Value>> = {
  range: new Callable('range', range),
  dict: new Callable('dict', (given) => new Dict(pairsOf(given))),
  namespace: new Callable('namespace', (given) => {
    const namespace = new Namespace();
    for (const [key, value] of pairsOf(given)) namespace.set(str(key), value);
    return namespace;
  }),
  joiner: new Callable('joiner', ({ positional: [by = ', '], named }) => {
    let isUsed = false;
    return new Callable('joiner', () => {
      const text = isUsed ? valueOr(named.get('sep'), by) : '';
      isUsed = true;
      return text;
    });
  }),
  cycler: new Callable('cycler', ({ positional }) => {
    if (positional.length === 0) throw new Error('cycler needs values');
    let at = 0;
    const current = () => positional[at % positional.length] ?? null;
    const next = new Callable('next', () => {
      const value = current();
      at++;
      return value;
    });
    const reset = new Callable('reset', () => {
      at = 0;
      return null;
    });
    const members = new Map<string, Value>([
      ['next', next],
      ['reset', reset],
    ]);
    return new Callable('cycler', () => current(), {
      get: (name: string) => (name === 'current' ? current() : members.get(name)),
    });
  }),
};
