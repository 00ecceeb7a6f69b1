import { answerQuestions, type Question } from '@contextlora/finetune';
import { createServer, type Server, type ServerOptions } from '@contextlora/serve';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import OpenAI from 'openai';
import { join } from 'node:path';

import { bright, low, pictures, type ServedLight, trainServedLight } from './served-light.js';

let light: ServedLight;
beforeAll(async () => {
  light = await trainServedLight();
});
afterAll(() => light.dispose());

const clock = () => performance.now() / 1000;
const defects: unknown[] = [];
const open = (options: Partial<ServerOptions> = {}): Server =>
  createServer(light.base, light.run, {
    clock,
    now: () => new Date(1.7e12),
    onDefect: (error) => defects.push(error),
    ...options,
  });

/** Opens a server on a free port for the body of a test. */
async function serving(
  body: (client: OpenAI, server: Server, url: string) => Promise<void>,
  { apiKey = 'none', ...options }: Partial<ServerOptions> & { apiKey?: string } = {},
): Promise<void> {
  const server = open(options);
  const { url } = await server.listen({ host: '127.0.0.1', port: 0 });
  try {
    await body(new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 }), server, url);
  } finally {
    await server.close();
  }
}

interface Composed {
  readonly contextlora: {
    readonly answers: readonly {
      task: string;
      answer: string;
      prompt?: string;
      given?: boolean;
      probability?: number;
      labels?: Record<string, number>;
    }[];
  };
}
const composedOf = (completion: unknown) => (completion as Composed).contextlora.answers;
const user = (content: string) => [{ role: 'user' as const, content }];
const picture = (base64: string) => ({
  type: 'image_url' as const,
  image_url: { url: `data:image/png;base64,${base64}` },
});

/** What the model of the run itself answers. */
async function expected(question: Question) {
  for await (const answers of answerQuestions(light.model, light.run.graph, [question])) return answers;
  throw new Error('no answer');
}
const probabilitiesOf = (answers: readonly { probability?: number }[]) =>
  answers.map(({ probability }) => probability?.toFixed(4));

describe('the openai client', () => {
  test('lists the tasks, and finds one by its name', async () => {
    await serving(async (client) => {
      const list = (await client.models.list()).data;
      expect(list.map(({ id, object, owned_by }) => [id, object, owned_by])).toEqual(
        ['light', 'lamp', 'note', 'colour'].map((id) => [id, 'model', 'contextlora']),
      );
      expect(await client.models.retrieve('lamp')).toMatchObject({
        contextlora: { dependsOn: ['light'], answer: 'label', labels: ['yes', 'no'], isLast: true },
      });
      await expect(client.models.retrieve('lampe')).rejects.toThrow(
        '404 there is no task "lampe"; did you mean "lamp"?',
      );
    });
  });

  test('gets what the run answers, with all that the answer builds on and its probabilities', async () => {
    await serving(async (client) => {
      for (const [task, text] of [
        ['lamp', low],
        ['lamp', bright],
        ['note', low],
      ] as const) {
        const completion = await client.chat.completions.create({ model: task, messages: user(text) });
        const wanted = await expected({ task, text });
        expect(completion.choices[0]?.message.content).toBe(wanted.at(-1)?.answer);
        const composed = composedOf(completion);
        expect(composed.map(({ task: of, answer, prompt }) => ({ task: of, answer, prompt }))).toEqual(
          wanted.map(({ task: of, answer, prompt }) => ({ task: of, answer, prompt })),
        );
        expect(probabilitiesOf(composed)).toEqual(probabilitiesOf(wanted));
        expect(completion).toMatchObject({
          model: task,
          created: 1.7e9,
          choices: [{ finish_reason: 'stop' }],
        });
        const { prompt_tokens, completion_tokens, total_tokens } = completion.usage ?? {};
        expect(prompt_tokens).toBeGreaterThan(10);
        expect(total_tokens).toBe((prompt_tokens ?? 0) + (completion_tokens ?? 0));
      }
      const [{ labels = {} } = {}] = composedOf(
        await client.chat.completions.create({ model: 'light', messages: user(low) }),
      );
      expect(Object.values(labels).reduce((sum, share) => sum + share)).toBeCloseTo(1, 5);
    });
  });

  test('sends pictures as data URLs', async () => {
    await serving(async (client) => {
      for (const colour of ['red', 'blue'] as const) {
        const completion = await client.chat.completions.create({
          model: 'colour',
          messages: [{ role: 'user', content: [picture(pictures[colour])] }],
        });
        const wanted = await expected({ task: 'colour', image: join(light.directory, `${colour}.png`) });
        expect(probabilitiesOf(composedOf(completion))).toEqual(probabilitiesOf(wanted));
      }
    });
  });

  test('is streamed an answer in pieces that add up to the whole, and then all that it builds on', async () => {
    await serving(async (client) => {
      for (const task of ['note', 'lamp']) {
        const whole = await client.chat.completions.create({ model: task, messages: user(low) });
        const stream = await client.chat.completions.create({
          model: task,
          messages: user(low),
          stream: true,
          stream_options: { include_usage: true },
        });
        const chunks = [];
        for await (const chunk of stream) chunks.push(chunk);
        const pieces = chunks.flatMap(({ choices: [choice] }) => choice?.delta.content ?? []);
        expect(pieces.join('')).toBe(whole.choices[0]?.message.content);
        expect(pieces.filter((piece) => piece !== '').length).toBeGreaterThan(task === 'note' ? 2 : 0);
        expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe('stop');
        expect(composedOf(chunks.at(-2))).toEqual(composedOf(whole));
        expect(chunks.at(-1)?.usage).toEqual(whole.usage);
      }
    });
  });

  test('gives answers that it knows, and asks for a mixture', async () => {
    await serving(async (client) => {
      const ask = async (contextlora: object) =>
        composedOf(
          await client.chat.completions.create({
            model: 'lamp',
            messages: user(low),
            ...({ contextlora } as object),
          }),
        );
      expect(await ask({ given: { light: 'sunny' } })).toMatchObject([
        { task: 'light', answer: 'sunny', given: true },
        { task: 'lamp', prompt: 'the light is low . light sunny . lamp ?' },
      ]);
      const [hard, marginal] = [await ask({}), await ask({ answers: 'marginal' })];
      expect(marginal.at(-1)?.probability).not.toBe(hard.at(-1)?.probability);
      await expect(ask({ given: { light: 'suny' } })).rejects.toThrow('did you mean "sunny"?');
      await expect(ask({ answers: 'soft' })).rejects.toThrow('400 contextlora.answers: ');
    });
  });

  test('has free text written by a schema, sampled by a seed, and cut by a limit or a stop', async () => {
    await serving(async (client) => {
      const write = async (more: object) => {
        const { choices } = await client.chat.completions.create({
          model: 'note',
          messages: user(low),
          ...more,
        });
        return { content: choices[0]?.message.content ?? '', finish: choices[0]?.finish_reason };
      };
      const schema = { type: 'object', properties: { wet: { type: 'boolean' } }, required: ['wet'] };
      const { content } = await write({
        response_format: { type: 'json_schema', json_schema: { name: 'note', schema } },
      });
      expect(JSON.parse(content)).toEqual({ wet: expect.any(Boolean) });
      const sampled = (seed: number) => write({ temperature: 2, seed, max_tokens: 12 });
      expect(await sampled(1)).toEqual(await sampled(1));
      expect(await sampled(1)).not.toEqual(await sampled(2));
      expect(await write({ max_completion_tokens: 1 })).toMatchObject({ finish: 'length' });
      const plain = await write({});
      const word = plain.content.split(' ').at(-1) ?? '';
      expect(await write({ stop: [word] })).toEqual({
        content: plain.content.slice(0, plain.content.indexOf(word)).trim(),
        finish: 'stop',
      });
    });
  });
});

describe('a request that cannot be answered', () => {
  const post = (server: Server, body: unknown, headers: Record<string, string> = {}) =>
    server.fetch(
      new Request('http://localhost/v1/chat/completions', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
    );
  const refusal = async (response: Response) => {
    const { error } = (await response.json()) as {
      error: { message: string; code: string; type: string; param: string | null };
    };
    return { status: response.status, ...error };
  };
  let server: Server;
  beforeAll(() => {
    server = open({ maximumBodyBytes: 4000, maximumPixels: 3, maximumTokens: 20 });
  });
  afterAll(() => server.close());

  const asked = { model: 'lamp', messages: user(low) };
  test.each<[string, unknown, number, string | RegExp]>([
    ['is no JSON', '{"model":', 400, /the body is not JSON: /],
    ['is no object', '[]', 400, /^the body: expected object/],
    ['has several mistakes', { model: 7, messages: [] }, 400, /^model: expected string.*; messages: /],
    [
      'has an unknown key',
      { ...asked, mesages: [] },
      400,
      'mesages is not supported; did you mean "messages"?',
    ],
    ['has a setting that is not acted on', { ...asked, logit_bias: {} }, 400, /logit_bias is not supported/],
    [
      'has a system message',
      { ...asked, messages: [{ role: 'system', content: '' }] },
      400,
      /must be "user"/,
    ],
    [
      'has audio',
      { ...asked, messages: [{ role: 'user', content: [{ type: 'input_audio', input_audio: {} }] }] },
      400,
      /audio and files are not read/,
    ],
    ['names no task', { ...asked, model: 'lamps' }, 404, /did you mean "lamp"\?/],
    [
      'has no text',
      { ...asked, messages: user('') },
      400,
      'task "light" has a slot {text}, but no text is given',
    ],
    [
      'has a picture for a task of text',
      {
        ...asked,
        messages: [{ role: 'user', content: [{ type: 'text', text: low }, picture(pictures.red)] }],
      },
      400,
      /none of the tasks asked .* has no image|no image among/,
    ],
    [
      'has no picture',
      { model: 'colour', messages: user('') },
      400,
      'task "colour" takes an image, but none is given',
    ],
    [
      'has two pictures',
      {
        model: 'colour',
        messages: [{ role: 'user', content: [picture(pictures.red), picture(pictures.red)] }],
      },
      400,
      /second picture/,
    ],
    [
      'has a URL',
      {
        model: 'colour',
        messages: [
          { role: 'user', content: [{ type: 'image_url', image_url: { url: 'http://localhost/a.png' } }] },
        ],
      },
      400,
      /other URLs are not fetched/,
    ],
    [
      'has what is no base64',
      { model: 'colour', messages: [{ role: 'user', content: [picture('a$b')] }] },
      400,
      /is not base64/,
    ],
    [
      'has what is no picture',
      { model: 'colour', messages: [{ role: 'user', content: [picture('aGVsbG8=')] }] },
      400,
      /messages\[0\]\.content\[0\]\.image_url\.url as a picture/,
    ],
    [
      'samples a label',
      { ...asked, temperature: 1, max_tokens: 3 },
      400,
      /leave out temperature, max_tokens/,
    ],
    [
      'wants too many tokens',
      { model: 'note', messages: user(low), max_tokens: 21 },
      400,
      /at most 20 are written/,
    ],
    [
      'wants another form than there is',
      { model: 'note', messages: user(low), response_format: { type: 'json_object' } },
      400,
      /must be "text", or "json_schema"/,
    ],
    [
      'has a schema that is not supported',
      {
        model: 'note',
        messages: user(low),
        response_format: {
          type: 'json_schema',
          json_schema: { name: 'a', schema: { type: 'string', pattern: 'a' } },
        },
      },
      400,
      /pattern/,
    ],
    [
      'needs more tokens than it may have',
      {
        model: 'note',
        messages: user(low),
        max_tokens: 2,
        response_format: {
          type: 'json_schema',
          json_schema: { name: 'a', schema: { type: 'object', properties: { wet: { type: 'boolean' } } } },
        },
      },
      400,
      /may need \d+ tokens, but 2 are allowed/,
    ],
    ['is too large', { ...asked, user: 'x'.repeat(4000) }, 413, /more than 4000 bytes/],
    [
      'is longer than the context',
      { ...asked, messages: user('the light . '.repeat(300)) },
      400,
      /positions/,
    ],
  ])('which %s is refused by name', async (_, body, status, message) => {
    const refused = await refusal(await post(server, body));
    expect(refused).toMatchObject({ status, type: 'invalid_request_error' });
    expect(refused.message).toMatch(
      message instanceof RegExp ? message : new RegExp(`^${message.replace(/[{}?]/g, '\\$&')}$`),
    );
    expect(refused.message).not.toMatch(/^\w+\/\w+:/);
  });

  test('because of its picture’s pixels, its header, its path or its method is refused by name', async () => {
    const large = { model: 'colour', messages: [{ role: 'user', content: [picture(pictures.red)] }] };
    expect(await refusal(await post(server, large))).toMatchObject({
      status: 413,
      param: 'messages[0].content[0].image_url.url',
      message:
        'messages[0].content[0].image_url.url has 2 × 2 pixels, and at most 3 are read; make it smaller',
    });
    expect(await refusal(await post(server, asked, { 'Content-Type': 'text/plain' }))).toMatchObject({
      status: 415,
      code: 'unsupported_media_type',
    });
    const at = (path: string, method = 'GET') =>
      server.fetch(new Request(`http://localhost${path}`, { method }));
    expect(await refusal(await at('/v1/completions'))).toMatchObject({ status: 404, code: 'unknown_url' });
    const wrong = await at('/v1/chat/completions');
    expect(wrong.headers.get('allow')).toBe('POST');
    expect(await refusal(wrong)).toMatchObject({ status: 405, code: 'method_not_allowed' });
  });

  test('leaves no defect behind', () => {
    expect(defects).toEqual([]);
  });
});
