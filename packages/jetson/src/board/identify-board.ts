/** Which published profile describes a board. */
import type { Board } from './read-board.js';

/** Module number → profile id; p3767-0005 is the 8 GB module of the developer kit. */
const modules: Readonly<Record<string, string>> = {
  'p3448-0000': 'nano',
  'p3448-0002': 'nano',
  'p3310-1000': 'tx2',
  'p3767-0000': 'orin-nx-16',
  'p3767-0001': 'orin-nx-8',
  'p3767-0003': 'orin-nano-8',
  'p3767-0004': 'orin-nano-4',
  'p3767-0005': 'orin-nano-8',
  'p3701-0004': 'agx-orin-32',
  'p3701-0005': 'agx-orin-64',
};

type Sizes = readonly (readonly [number, string])[];
const smallAndLarge = (small: number, large: number, family: string): Sizes => [
  [small, `${family}-${small}`],
  [large, `${family}-${large}`],
];

/** Name in the device tree → profile ids of that family by memory in GiB, smallest first. */
const families: readonly (readonly [RegExp, Sizes])[] = [
  [/orin nano/i, smallAndLarge(4, 8, 'orin-nano')],
  [/orin nx/i, smallAndLarge(8, 16, 'orin-nx')],
  [/agx orin/i, smallAndLarge(32, 64, 'agx-orin')],
  [/xavier nx/i, smallAndLarge(8, 16, 'xavier-nx')],
  [/agx xavier/i, smallAndLarge(32, 64, 'agx-xavier')],
  [
    /thor/i,
    [
      [64, 'thor-t4000'],
      [128, 'thor-t5000'],
    ],
  ],
  [/tx2 nx/i, []],
  [/tx2/i, [[8, 'tx2']]],
  [/jetson nano/i, [[4, 'nano']]],
];

/** Finds the profile id by module number, else by name and memory; undefined for any other machine. */
export function identifyBoard(
  { model = '', module, soc, powerModes = [] }: Board,
  totalBytes?: number,
): string | undefined {
  if (soc === undefined) return undefined;
  const id = modules[module ?? ''] ?? byName(model, totalBytes);
  const isSuper = /\bsuper\b/i.test(model) || powerModes.includes('MAXN_SUPER');
  return isSuper && id !== undefined && /^orin-(nano-8|nx)/.test(id) ? `${id}-super` : id;
}

/** The operating system reports somewhat less than the nominal memory. */
function byName(model: string, totalBytes: number | undefined): string | undefined {
  const [, sizes = []] = families.find(([pattern]) => pattern.test(model)) ?? [];
  if (totalBytes === undefined) return undefined;
  const total = totalBytes / 2 ** 30;
  return sizes.find(([size]) => total <= size && total > 0.7 * size)?.[1];
}
