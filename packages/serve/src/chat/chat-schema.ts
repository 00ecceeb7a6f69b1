/** What a chat completion may ask for: those parts of OpenAI's format that are acted on, and nothing else. */
import { z } from 'zod';

const textPart = z.strictObject({ type: z.literal('text'), text: z.string() });
const imagePart = z.strictObject({
  type: z.literal('image_url'),
  image_url: z.strictObject({
    url: z.string().describe('a data URL: data:image/png;base64,…'),
    detail: z.literal('auto').optional(),
  }),
});

const message = z.strictObject({
  role: z.literal('user', {
    error:
      'must be "user": a task has its own instruction, so that there is no system message, and no earlier turn',
  }),
  content: z.union([
    z.string(),
    z
      .array(
        z.discriminatedUnion('type', [textPart, imagePart], {
          error: 'must be "text" or "image_url"; audio and files are not read',
        }),
      )
      .min(1),
  ]),
});

const responseFormat = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('text') }),
    z.strictObject({
      type: z.literal('json_schema'),
      json_schema: z.strictObject({
        name: z.string(),
        description: z.string().optional(),
        strict: z.boolean().nullish(),
        schema: z.record(z.string(), z.unknown()),
      }),
    }),
  ],
  { error: 'must be "text", or "json_schema" with a schema' },
);

const extension = z.strictObject({
  given: z
    .record(z.string(), z.string())
    .optional()
    .describe('task → its answer, where it is known already; that task is not asked'),
  answers: z
    .enum(['hard', 'marginal'])
    .optional()
    .describe('what a task is told of the answers it builds on: the likeliest, or a mixture of all'),
});

export const chatRequestSchema = z.strictObject({
  model: z.string().describe('a task, as /v1/models lists them'),
  messages: z
    .array(message)
    .length(1)
    .describe('one message, whose text and picture fill the slots of the task'),
  stream: z.boolean().nullish(),
  stream_options: z.strictObject({ include_usage: z.boolean().optional() }).nullish(),
  max_tokens: z.int().min(1).nullish().describe('of a free-text task'),
  max_completion_tokens: z.int().min(1).nullish().describe('of a free-text task'),
  temperature: z.number().min(0).max(2).nullish().describe('of a free-text task; 0 if absent'),
  top_p: z.number().gt(0).max(1).nullish().describe('of a free-text task'),
  seed: z.int().nullish(),
  stop: z
    .union([z.string().min(1), z.array(z.string().min(1)).max(4)])
    .nullish()
    .describe('of a free-text task'),
  response_format: responseFormat.nullish().describe('of a free-text task'),
  n: z.literal(1).nullish(),
  frequency_penalty: z.literal(0).nullish(),
  presence_penalty: z.literal(0).nullish(),
  logprobs: z.literal(false).nullish(),
  user: z.string().optional().describe('has no effect'),
  contextlora: extension.optional(),
});

export type ChatRequest = z.infer<typeof chatRequestSchema>;
