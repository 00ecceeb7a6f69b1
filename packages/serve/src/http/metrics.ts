/** What a server counts, for Prometheus. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';

import type { PassKind } from '../engine/engine.js';

export interface Metrics {
  readonly contentType: string;
  print(): Promise<string>;
  /** A request to a path has ended; `task` is "none" where it names none of the run. */
  ended(request: { readonly task: string; readonly status: number; readonly seconds: number }): void;
  tokens(task: string, counts: { readonly prompt: number; readonly answer: number }): void;
  readonly pass: (kind: PassKind, size: number) => void;
}

const secondBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

export function openMetrics({ inFlight }: { readonly inFlight: () => number }): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const requests = new Counter({
    name: 'contextlora_requests_total',
    help: 'Chat completions by task and status.',
    labelNames: ['task', 'status'],
    registers,
  });
  const seconds = new Histogram({
    name: 'contextlora_request_seconds',
    help: 'Time from a request to the end of its answer.',
    labelNames: ['task'],
    buckets: secondBounds,
    registers,
  });
  const tokens = new Counter({
    name: 'contextlora_tokens_total',
    help: 'Tokens read (prompt) and written (answer), of all tasks that a question asks.',
    labelNames: ['task', 'kind'],
    registers,
  });
  const passes = new Histogram({
    name: 'contextlora_pass_size',
    help: 'How many pictures, prompts or answers a pass of the model was for.',
    labelNames: ['kind'],
    buckets: [1, 2, 4, 8, 16, 32, 64],
    registers,
  });
  new Gauge({
    name: 'contextlora_requests_in_flight',
    help: 'Requests that are under way.',
    registers,
    collect() {
      this.set(inFlight());
    },
  });
  return {
    contentType: registry.contentType,
    print: () => registry.metrics(),
    ended({ task, status, seconds: took }) {
      requests.inc({ task, status });
      seconds.observe({ task }, took);
    },
    tokens(task, { prompt, answer }) {
      tokens.inc({ task, kind: 'prompt' }, prompt);
      tokens.inc({ task, kind: 'answer' }, answer);
    },
    pass(kind, size) {
      passes.observe({ kind }, size);
    },
  };
}
