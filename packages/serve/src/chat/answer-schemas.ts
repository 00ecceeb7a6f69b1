/** What is answered, for the OpenAPI document and for types. */
import { z } from 'zod';

const usage = z.object({
  prompt_tokens: z.int().describe('of all tasks that were asked'),
  completion_tokens: z.int().describe('of all tasks that were asked'),
  total_tokens: z.int(),
});

const composedAnswers = z.object({
  answers: z
    .array(
      z.object({
        task: z.string(),
        prompt: z.string().optional().describe('absent where the answer was given'),
        answer: z.string(),
        given: z.literal(true).optional(),
        probability: z.number().optional().describe('of the answer, for a label task'),
        labels: z.record(z.string(), z.number()).optional().describe('label → probability, likeliest first'),
      }),
    )
    .describe('all that the answer builds on, in order; the answer itself comes last'),
});

const head = {
  id: z.string(),
  created: z.int().describe('Unix time in seconds'),
  model: z.string(),
};
const finish = z.enum(['stop', 'length']);

export const completionSchema = z.object({
  ...head,
  object: z.literal('chat.completion'),
  choices: z.array(
    z.object({
      index: z.literal(0),
      message: z.object({ role: z.literal('assistant'), content: z.string(), refusal: z.null() }),
      logprobs: z.null(),
      finish_reason: finish,
    }),
  ),
  usage,
  contextlora: composedAnswers,
});

export const chunkSchema = z.object({
  ...head,
  object: z.literal('chat.completion.chunk'),
  choices: z.array(
    z.object({
      index: z.literal(0),
      delta: z.object({ role: z.literal('assistant').optional(), content: z.string().optional() }),
      logprobs: z.null(),
      finish_reason: finish.nullable(),
    }),
  ),
  usage: usage.nullish().describe('in the last chunk, with stream_options.include_usage'),
  contextlora: composedAnswers.optional().describe('in the chunk that ends the answer'),
});

export const modelSchema = z.object({
  id: z.string(),
  object: z.literal('model'),
  created: z.int(),
  owned_by: z.string(),
  contextlora: z.object({
    instruction: z.string(),
    inputs: z.array(z.enum(['text', 'image', 'audio'])),
    dependsOn: z.array(z.string()),
    answer: z.enum(['label', 'text', 'json']),
    labels: z.array(z.string()).optional(),
    isLast: z.boolean().describe('whether no other task builds on this one'),
  }),
});

export const modelListSchema = z.object({ object: z.literal('list'), data: z.array(modelSchema) });

export const errorSchema = z.object({
  error: z.object({
    message: z.string(),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string(),
  }),
});

export type Completion = z.infer<typeof completionSchema>;
export type CompletionChunk = z.infer<typeof chunkSchema>;
export type Usage = z.infer<typeof usage>;
export type ModelEntry = z.infer<typeof modelSchema>;
export type ErrorBody = z.infer<typeof errorSchema>;
