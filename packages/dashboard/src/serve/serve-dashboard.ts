/** The page of a run on loopback, live: what changes is sent while the run goes on, and questions are answered. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { DashboardError } from '../dashboard-error.js';
import { renderPage } from '../render-page.js';
import type { AnswerView, RunView } from '../view/run-view.js';
import { type Asked, readAsked } from './read-asked.js';
import { watchRun } from './watch-run.js';

export interface ServeDashboardOptions {
  readonly directory: string;
  readonly read: () => Promise<RunView>;
  /** Answers a question, and what it builds on; throws an error whose message the page shows. Absent if the page shall not ask. */
  readonly ask?: (question: Asked) => Promise<readonly AnswerView[]>;
  /** 0 for any that is free. */
  readonly port: number;
}

export interface ServedDashboard extends AsyncDisposable {
  readonly address: string;
}

/**
 * Serves the page on 127.0.0.1 alone, and only to pages that it served itself, until it is disposed.
 *
 * @throws DashboardError `DASHBOARD_ADDRESS_UNUSABLE` when the port is taken or may not be used.
 */
export async function serveDashboard({
  directory,
  read,
  ask,
  port,
}: ServeDashboardOptions): Promise<ServedDashboard> {
  const listening = new Set<ServerResponse>();
  let view = await read();
  const server = createServer((request, response) => {
    void respond(request, response).catch(() => response.destroy());
  });
  const respond = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = '', url = '', headers } = request;
    const isOfThisPage = headers.origin === `http://${headers.host ?? ''}`;
    // A name of somebody else that leads to this machine must not read the run.
    if (headers.host !== hostOf(server.address())) end(response, 403, 'not this host');
    else if (method === 'GET' && url === '/') {
      const page = await renderPage(view, { isLive: true, canAsk: ask !== undefined });
      response.setHeader('content-type', 'text/html; charset=utf-8');
      end(response, 200, page);
    } else if (method === 'GET' && url === '/events') {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
      response.write(eventOf(view));
      listening.add(response);
      response.on('close', () => listening.delete(response));
    } else if (ask && method === 'POST' && url === '/ask') {
      if (isOfThisPage) answerWith(response, await answered(request, ask));
      else end(response, 403, 'not from this page');
    } else end(response, 404, 'there is nothing here');
  };
  await listen(server, port);
  const stop = new AbortController();
  const following = (async () => {
    for await (const next of watchRun(directory, { read, signal: stop.signal })) {
      view = next;
      for (const response of listening) response.write(eventOf(view));
    }
  })();
  return {
    address: `http://${hostOf(server.address())}/`,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await following;
      const closed = new Promise<void>((resolve) => {
        server.close(() => {
          resolve();
        });
      });
      server.closeAllConnections();
      await closed;
    },
  };
}

const host = '127.0.0.1';
const hostOf = (address: string | AddressInfo | null): string =>
  `${host}:${(address as AddressInfo | null)?.port ?? ''}`;

const eventOf = (view: RunView): string => `data: ${JSON.stringify(view)}\n\n`;

function end(response: ServerResponse, status: number, body: string): void {
  response.statusCode = status;
  response.setHeader('cache-control', 'no-store');
  response.setHeader('x-content-type-options', 'nosniff');
  response.end(body);
}

function answerWith(response: ServerResponse, value: unknown): void {
  response.setHeader('content-type', 'application/json');
  end(response, 'problem' in (value as object) ? 422 : 200, JSON.stringify(value));
}

async function answered(
  request: IncomingMessage,
  ask: (question: Asked) => Promise<readonly AnswerView[]>,
): Promise<{ readonly answers: readonly AnswerView[] } | { readonly problem: string }> {
  try {
    return { answers: await ask(await readAsked(request)) };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}

function listen(server: ReturnType<typeof createServer>, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why =
        error.code === 'EADDRINUSE'
          ? 'another process listens there'
          : `it cannot be used (${error.message})`;
      reject(
        new DashboardError(
          'DASHBOARD_ADDRESS_UNUSABLE',
          'serveDashboard',
          `port ${port}: ${why}; choose another, or 0 for any that is free`,
          { cause: error },
        ),
      );
    });
    server.listen(port, host, resolve);
  });
}
