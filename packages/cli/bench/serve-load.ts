/** Clients that ask a server at the same time, and how long their answers take. */

/** One question: the path and body of its request, and what is counted of its answer. */
export interface LoadRequest {
  readonly path: string;
  readonly body: object;
  /** How many tokens an answer has written, or 0 where that does not matter. */
  readonly tokensOf: (answer: unknown) => number;
}

export interface LoadResult {
  readonly clients: number;
  readonly requests: number;
  readonly errors: number;
  readonly p50Seconds: number;
  readonly p99Seconds: number;
  readonly requestsPerSecond: number;
  readonly tokensPerSecond: number;
}

/** Sends `count` requests, `clients` at a time, each as soon as the one before it of the same client is answered. */
export async function load(
  url: string,
  requestOf: (i: number) => LoadRequest,
  { clients, count }: { readonly clients: number; readonly count: number },
): Promise<LoadResult> {
  const seconds: number[] = [];
  let [next, errors, tokens] = [0, 0, 0];
  const started = performance.now();
  const client = async () => {
    while (next < count) {
      const { path, body, tokensOf } = requestOf(next++);
      const begun = performance.now();
      try {
        const response = await fetch(`${url}${path}`, {
          method: 'POST',
          headers: { 'Content-Type': 'application/json' },
          body: JSON.stringify(body),
        });
        const answer = await response.json();
        if (!response.ok) throw new Error(JSON.stringify(answer));
        tokens += tokensOf(answer);
        seconds.push((performance.now() - begun) / 1000);
      } catch {
        errors += 1;
      }
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  const all = (performance.now() - started) / 1000;
  seconds.sort((a, b) => a - b);
  const quantile = (share: number) => seconds[Math.ceil(share * seconds.length) - 1] ?? NaN;
  return {
    clients,
    requests: seconds.length,
    errors,
    p50Seconds: quantile(0.5),
    p99Seconds: quantile(0.99),
    requestsPerSecond: seconds.length / all,
    tokensPerSecond: tokens / all,
  };
}
