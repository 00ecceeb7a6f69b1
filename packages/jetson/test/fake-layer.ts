import type { MeasurableLayer } from '@contextlora/jetson';

/** A layer of known speed and the clock that it moves; `slowdown` may depend on the number of the pass. */
export function fakeLayer({
  rates = { forward: 1e9, input: 2e9, weight: 4e9 },
  slowdown = () => 1,
}: {
  readonly rates?: { readonly forward: number; readonly input: number; readonly weight: number };
  readonly slowdown?: (pass: number) => number;
} = {}) {
  const work = { forward: 3e6, input: 5e6, weight: 7e6 };
  let now = 0;
  let passes = 0;
  const take = (tokens: number, ...kinds: (keyof typeof work)[]) => {
    for (const kind of kinds) now += ((work[kind] * tokens) / rates[kind]) * slowdown(passes);
    passes += 1;
  };
  const layer: MeasurableLayer = {
    forward: (tokens) => {
      take(tokens, 'forward');
    },
    backwardInput: (tokens) => {
      take(tokens, 'input');
    },
    backwardBoth: (tokens) => {
      take(tokens, 'input', 'weight');
    },
    flops: (kind, tokens) => work[kind] * tokens,
  };
  const advance = (seconds: number) => {
    now += seconds;
  };
  return { layer, clock: () => now, passes: () => passes, advance };
}
