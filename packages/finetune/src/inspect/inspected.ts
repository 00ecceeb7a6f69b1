/** What can be seen of a run, an adapter, a model or a certificate, in one form that two of them can be compared in. */

export interface Inspected {
  readonly kind: 'run' | 'checkpoint' | 'partition' | 'adapter' | 'model' | 'certificates';
  readonly path: string;
  /** Name → value in words: settings, digests, and what follows from them. */
  readonly facts: Readonly<Record<string, string>>;
  readonly tensors: readonly InspectedTensor[];
  /** Frees what reading tensors needs. */
  readonly close: () => Promise<void>;
}

export interface InspectedTensor {
  /** Of a segment: `task/linear/a`. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly read: () => Promise<Float32Array>;
}

/** For what is in memory whole. */
export const nothingToClose = (): Promise<void> => Promise.resolve();

/** Every value in an object of JSON, by its path: `{ a: { b: 1 } }` → `a.b: 1`. */
export function flatFacts(value: unknown, prefix = ''): Record<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { [prefix]: typeof value === 'string' ? value : JSON.stringify(value) };
  return Object.assign(
    {},
    ...Object.entries(value).map(([key, one]) => flatFacts(one, prefix === '' ? key : `${prefix}.${key}`)),
  ) as Record<string, string>;
}
