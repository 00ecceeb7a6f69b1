/** In what two runs, adapters, models or certificates differ. */
import type { Inspected, InspectedTensor } from './inspected.js';

/** Plain JSON. */
export interface InspectedDifference {
  /** Facts that differ; absent on the side that has none of that name. */
  readonly facts: readonly { readonly name: string; readonly one?: string; readonly other?: string }[];
  /** Tensors that only one has. */
  readonly onlyOne: readonly string[];
  readonly onlyOther: readonly string[];
  readonly tensors: readonly TensorDifference[];
  readonly equalTensors: number;
}

export interface TensorDifference {
  readonly name: string;
  /** Absent where the shapes differ. */
  readonly maximumAbsoluteDifference?: number;
  /** Numbers that differ in any bit. */
  readonly differing?: number;
  readonly shapes: readonly [one: readonly number[], other: readonly number[]];
}

/** Compares facts by name and tensors number by number, and yields the number of tensors compared. */
export async function* compareInspected(
  one: Inspected,
  other: Inspected,
): AsyncGenerator<{ readonly done: number; readonly total: number }, InspectedDifference> {
  const others = new Map(other.tensors.map((tensor) => [tensor.name, tensor]));
  const own = new Set(one.tensors.map(({ name }) => name));
  const common = one.tensors.filter(({ name }) => others.has(name));
  const tensors: TensorDifference[] = [];
  for (const [i, tensor] of common.entries()) {
    const difference = await differenceOf(tensor, others.get(tensor.name)!);
    if (difference) tensors.push(difference);
    yield { done: i + 1, total: common.length };
  }
  return {
    facts: differentFacts(one.facts, other.facts),
    onlyOne: one.tensors.flatMap(({ name }) => (others.has(name) ? [] : [name])),
    onlyOther: other.tensors.flatMap(({ name }) => (own.has(name) ? [] : [name])),
    tensors,
    equalTensors: common.length - tensors.length,
  };
}

function differentFacts(one: Inspected['facts'], other: Inspected['facts']): InspectedDifference['facts'] {
  const value = (facts: Inspected['facts'], name: string) =>
    Object.hasOwn(facts, name) ? facts[name] : undefined;
  return [...new Set([...Object.keys(one), ...Object.keys(other)])].flatMap((name) => {
    const [was, is] = [value(one, name), value(other, name)];
    if (was === is) return [];
    return [{ name, ...(was === undefined ? {} : { one: was }), ...(is === undefined ? {} : { other: is }) }];
  });
}

async function differenceOf(
  one: InspectedTensor,
  other: InspectedTensor,
): Promise<TensorDifference | undefined> {
  const { name } = one;
  const shapes = [one.shape, other.shape] as const;
  if (one.shape.join() !== other.shape.join()) return { name, shapes };
  const [p, q] = [await one.read(), await other.read()];
  let [maximum, differing] = [0, 0];
  for (let i = 0; i < p.length; i++) {
    const [x, y] = [p[i]!, q[i]!];
    if (Object.is(x, y)) continue;
    differing += 1;
    // A NaN, which no number is greater than, stays.
    const distance = Math.abs(x - y);
    if (!(distance <= maximum)) maximum = distance;
  }
  return differing === 0 ? undefined : { name, maximumAbsoluteDifference: maximum, differing, shapes };
}
