/** The paths of the server. */
import { type Context, Hono } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';

import { modelEntry } from '../chat/model-list.js';
import { requireTask } from '../chat/served-run.js';
import { ServeError } from '../serve-error.js';
import { openAccess } from './access.js';
import { chatRoute, type ChatRouteOptions } from './chat-route.js';
import { errorAnswer } from './error-response.js';
import { openApiDocument } from './open-api.js';

export interface AppOptions extends ChatRouteOptions {
  readonly keys: readonly string[];
  /** Unix time in seconds at which the server began. */
  readonly created: number;
}

export function createApp({ keys, created, ...options }: AppOptions): Hono {
  const { served, admission, metrics, onError } = options;
  const { run } = served;
  const requireAccess = openAccess(keys);
  const app = new Hono();

  app.onError((error, c) => {
    const { status, body, retrySeconds } = errorAnswer(error);
    onError(error);
    if (retrySeconds !== undefined) c.header('Retry-After', String(retrySeconds));
    if (status === 401) c.header('WWW-Authenticate', 'Bearer');
    return c.json(body, status as ContentfulStatusCode);
  });
  app.use(async (c, next) => {
    // Whoever keeps a machine running may ask whether it does.
    if (c.req.path !== '/healthz')
      requireAccess({ authorization: c.req.header('authorization'), host: new URL(c.req.url).hostname });
    await next();
    if (admission.isClosing) c.header('Connection', 'close');
  });

  const routes: Readonly<
    Record<
      string,
      { readonly method: 'GET' | 'POST'; readonly answer: (c: Context) => Response | Promise<Response> }
    >
  > = {
    '/healthz': {
      method: 'GET',
      answer: (c) => (admission.isClosing ? c.json({ status: 'closing' }, 503) : c.json({ status: 'ok' })),
    },
    '/metrics': {
      method: 'GET',
      answer: async (c) => c.body(await metrics.print(), 200, { 'Content-Type': metrics.contentType }),
    },
    '/openapi.json': { method: 'GET', answer: (c) => c.json(openApiDocument({ tasks: run.trainedTasks })) },
    '/v1/models': {
      method: 'GET',
      answer: (c) =>
        c.json({
          object: 'list',
          data: run.trainedTasks.map((task) => modelEntry(run, requireTask(run, task, 'model'), created)),
        }),
    },
    '/v1/models/:model': {
      method: 'GET',
      answer: (c) => c.json(modelEntry(run, requireTask(run, c.req.param('model') ?? '', 'model'), created)),
    },
    '/v1/chat/completions': { method: 'POST', answer: chatRoute(options) },
  };
  for (const [path, { method, answer }] of Object.entries(routes)) {
    app.on(method, path, answer);
    app.all(path, (c) => {
      c.header('Allow', method === 'GET' ? 'GET, HEAD' : method);
      throw new ServeError(
        'SERVE_METHOD_REFUSED',
        'server',
        `${c.req.path} takes ${method}, got ${c.req.method}`,
      );
    });
  }
  app.notFound((c) => {
    throw new ServeError(
      'SERVE_PATH_UNKNOWN',
      'server',
      `nothing is served at ${c.req.path}; /openapi.json lists what is`,
    );
  });
  return app;
}
