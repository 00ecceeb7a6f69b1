/** Who has been silent for too long, by this process's own clock. */

export interface Liveness {
  heard(name: string): void;
  forget(name: string): void;
  /** Names not heard of for too long, with the seconds since; to be called every `tickSeconds`. */
  silent(): { readonly name: string; readonly seconds: number }[];
}

/** `clock` gives monotonic seconds. */
export function createLiveness({
  clock,
  silenceSeconds,
  tickSeconds,
}: {
  readonly clock: () => number;
  readonly silenceSeconds: number;
  readonly tickSeconds: number;
}): Liveness {
  const heardAt = new Map<string, number>();
  let tickedAt = clock();
  return {
    heard(name) {
      heardAt.set(name, clock());
    },
    forget(name) {
      heardAt.delete(name);
    },
    silent() {
      const now = clock();
      const stalledSeconds = now - tickedAt - tickSeconds;
      tickedAt = now;
      // While this process stood still it heard nobody, which says nothing about the others.
      if (stalledSeconds > tickSeconds)
        for (const [name, at] of heardAt) heardAt.set(name, at + stalledSeconds);
      return [...heardAt]
        .map(([name, at]) => ({ name, seconds: now - at }))
        .filter(({ seconds }) => seconds > silenceSeconds);
    },
  };
}
