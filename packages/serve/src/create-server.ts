/** A trained run behind OpenAI's HTTP interface. */
import { createServer as createHttpServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { LoadedModel } from '@contextlora/model';
import { getRequestListener } from '@hono/node-server';

import { openServedRun, type ServableRun } from './chat/served-run.js';
import { openEngine } from './engine/engine.js';
import { isLoopback } from './http/access.js';
import { openAdmission } from './http/admission.js';
import { createApp } from './http/create-app.js';
import { errorAnswer } from './http/error-response.js';
import { openMetrics } from './http/metrics.js';
import { ServeError } from './serve-error.js';
import { limitsOf, type ServerOptions } from './server-options.js';

export interface Server extends AsyncDisposable {
  /**
   * Begins to listen; port 0 takes a free one.
   *
   * @throws ServeError `SERVE_INSECURE` for an address that others can reach, without keys; `SERVE_ADDRESS_UNAVAILABLE`.
   */
  listen(address: { readonly host: string; readonly port: number }): Promise<{ readonly url: string }>;
  /** Answers one request in this process, without a network. */
  fetch(request: Request): Promise<Response>;
  readonly inFlight: number;
  /**
   * Takes no more requests, waits for the answers that are under way, and stops listening. What takes longer than `closeSeconds` is refused
   * with 503; returns how many that were.
   */
  close(): Promise<{ readonly refused: number }>;
}

/**
 * Makes a server for a run on its base, which stays the caller's. Answers of requests that come together, of whatever task, are computed together.
 *
 * @throws ServeError (`SERVE_INPUT_INVALID`) for options that make no sense, or a run that has trained no task.
 */
export function createServer(base: LoadedModel, run: ServableRun, options: ServerOptions): Server {
  const limits = limitsOf(options);
  const { keys = [], clock, now, onDefect = () => undefined } = options;
  const created = Math.floor(now().getTime() / 1000);
  const served = openServedRun(base, run);
  const admission = openAdmission(limits);
  const metrics = openMetrics({ inFlight: () => admission.inFlight });
  const engine = openEngine(base, { batchSize: limits.batchSize, onPass: metrics.pass });
  let answers = 0;
  const app = createApp({
    served,
    engine,
    limits,
    admission,
    metrics,
    clock,
    keys,
    created,
    headOf: (task) => ({
      id: `chatcmpl-${created.toString(36)}-${++answers}`,
      created: Math.floor(now().getTime() / 1000),
      model: task,
    }),
    onError(error) {
      if (errorAnswer(error).isDefect) onDefect(error);
    },
  });
  const http = createHttpServer(
    { requestTimeout: limits.maximumSeconds * 1000 },
    // eslint-disable-next-line @typescript-eslint/no-misused-promises -- the listener handles its own errors
    getRequestListener(app.fetch, { overrideGlobalObjects: false }),
  );
  /** Responses of which not everything has been handed on. */
  const unsent = new Set<ServerResponse>();
  http.on('request', (_, response) => {
    unsent.add(response);
    response.once('close', () => {
      unsent.delete(response);
    });
  });
  // A caller that reads nothing must not keep its place.
  http.setTimeout(2 * limits.maximumSeconds * 1000);
  let closed: ReturnType<Server['close']> | undefined;

  const close = async () => {
    let refused = 0;
    const timers = [
      setTimeout(() => {
        refused = admission.inFlight;
        admission.abort();
      }, limits.closeSeconds * 1000),
      // Whoever does not even read why.
      setTimeout(
        () => {
          http.closeAllConnections();
        },
        (limits.closeSeconds + 1) * 1000,
      ),
    ];
    await admission.close();
    // Until here it listens, and says 503: a connection that was made would be lost without a word.
    if (http.listening)
      await new Promise<void>((resolve) => {
        // Connections that are kept alive, or on which nothing was ever asked, would be waited for.
        const sweep = setInterval(() => {
          if (unsent.size === 0) http.closeAllConnections();
        }, 10);
        http.close(() => {
          clearInterval(sweep);
          resolve();
        });
      });
    for (const timer of timers) clearTimeout(timer);
    await engine.idle();
    served.dispose();
    return { refused };
  };

  return {
    get inFlight() {
      return admission.inFlight;
    },
    fetch: async (request) => app.fetch(request),
    async listen({ host, port }) {
      if (keys.length === 0 && !isLoopback(host))
        throw new ServeError(
          'SERVE_INSECURE',
          'listen',
          `${host} can be reached from other machines, and is refused without keys; give some, or listen at 127.0.0.1`,
        );
      await new Promise<void>((resolve, reject) => {
        http.once('error', (cause) => {
          reject(
            new ServeError(
              'SERVE_ADDRESS_UNAVAILABLE',
              'listen',
              `cannot listen at ${host}:${port}: ${cause.message}`,
              {
                cause,
              },
            ),
          );
        });
        http.listen(port, host, resolve);
      });
      const { address, family, port: taken } = http.address() as AddressInfo;
      return { url: `http://${family === 'IPv6' ? `[${address}]` : address}:${taken}` };
    },
    close: () => (closed ??= close()),
    async [Symbol.asyncDispose]() {
      await (closed ??= close());
    },
  };
}
