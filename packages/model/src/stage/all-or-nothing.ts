/** Tensors of a computation that may fail on the way. */
import { engine, tidy } from '@contextlora/kernels/tfjs';

/** The result of `make`, whose tensors belong to the caller; when it throws, every tensor that it made until then is freed. */
export function allOrNothing<Result>(make: () => Result): Result {
  const made: Result[] = [];
  tidy(() => {
    made.push(make());
    return [...engine().state.activeScope.track];
  });
  return made[0]!;
}
