/** The OpenAPI document, from the schemas that requests are checked with. */
import { z } from 'zod';

import {
  chunkSchema,
  completionSchema,
  errorSchema,
  modelListSchema,
  modelSchema,
} from '../chat/answer-schemas.js';
import { chatRequestSchema } from '../chat/chat-schema.js';

const refusals = {
  '401': 'no key, or one that the server does not know',
  '403': 'without keys: the request is for another host than this machine',
} as const;
const chatRefusals = {
  '400': 'a request that the task cannot be asked; the message lists all that is wrong',
  '404': 'a task that the run does not have',
  '413': 'a body or a picture that is too large',
  '415': 'a body that is not JSON by its header',
  '429': 'as many requests as the server takes are under way',
  '500': 'a defect of the server',
  '503': 'no answer in time, or the server shuts down',
} as const;

/** OpenAPI 3.1; plain JSON. Its version is that of the interface. With `tasks`, those of a run, it names them. */
export function openApiDocument({ tasks }: { readonly tasks?: readonly string[] } = {}): Readonly<
  Record<string, unknown>
> {
  const json = (schema: z.ZodType, io: 'input' | 'output' = 'output') => {
    const entries = Object.entries(z.toJSONSchema(schema, { io })).filter(([key]) => key !== '$schema');
    return { 'application/json': { schema: Object.fromEntries(entries) } };
  };
  const ok = (description: string, content: object) => ({ '200': { description, content } });
  const errors = (descriptions: Readonly<Record<string, string>>) =>
    Object.fromEntries(
      Object.entries(descriptions).map(([status, description]) => [
        status,
        { description, content: json(errorSchema) },
      ]),
    );
  const health = json(z.object({ status: z.enum(['ok', 'closing']) }));
  return {
    openapi: '3.1.0',
    info: {
      title: 'ContextLoRA',
      version: '1',
      description: "The tasks of a trained run behind OpenAI's chat completions.",
    },
    components: { securitySchemes: { key: { type: 'http', scheme: 'bearer' } } },
    security: [{ key: [] }],
    paths: {
      '/v1/models': {
        get: {
          operationId: 'listModels',
          responses: { ...ok('the tasks that are trained', json(modelListSchema)), ...errors(refusals) },
        },
      },
      '/v1/models/{model}': {
        get: {
          operationId: 'getModel',
          parameters: [
            {
              name: 'model',
              in: 'path',
              required: true,
              description: 'a task',
              schema: { type: 'string', ...(tasks ? { enum: tasks } : { minLength: 1 }) },
            },
          ],
          responses: {
            ...ok('the task', json(modelSchema)),
            ...errors({ ...refusals, '404': chatRefusals['404'] }),
          },
        },
      },
      '/v1/chat/completions': {
        post: {
          operationId: 'createChatCompletion',
          requestBody: {
            required: true,
            content: json(
              tasks ? chatRequestSchema.extend({ model: z.enum(tasks) }) : chatRequestSchema,
              'input',
            ),
          },
          responses: {
            ...ok('the answer, whole or as server-sent events', {
              ...json(completionSchema),
              'text/event-stream': {
                schema: {
                  type: 'string',
                  description: 'chunks, then [DONE]',
                  'x-chunk': json(chunkSchema)['application/json'].schema,
                },
              },
            }),
            ...errors({ ...refusals, ...chatRefusals }),
          },
        },
      },
      '/openapi.json': {
        get: {
          operationId: 'getOpenApiDocument',
          responses: {
            ...ok('this document', { 'application/json': { schema: { type: 'object' } } }),
            ...errors(refusals),
          },
        },
      },
      '/metrics': {
        get: {
          operationId: 'getMetrics',
          responses: {
            ...ok('counts for Prometheus', { 'text/plain': { schema: { type: 'string' } } }),
            ...errors(refusals),
          },
        },
      },
      '/healthz': {
        get: {
          operationId: 'getHealth',
          security: [],
          responses: {
            ...ok('the server answers', health),
            '503': { description: 'it shuts down', content: health },
          },
        },
      },
    },
  };
}
