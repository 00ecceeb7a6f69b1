import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { openKernels } from '@contextlora/kernels';
import {
  generate,
  loadModel,
  openImageFeatures,
  promptIds,
  renderChat,
  withImageTexts,
} from '@contextlora/model';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { runCommand, type RunOptions } from './run-command.js';

const modelRoot = dirname(createRequire(import.meta.url).resolve('@contextlora/model/package.json'));
const fixture = (...parts: string[]) => join(modelRoot, 'test/fixtures', ...parts);
const tiny = fixture('llama-tiny');

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'contextlora-chat-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const chat = (args: readonly string[], options: RunOptions = {}) => runCommand(['chat', ...args], options);

/** Interrupts at the first output only: a second Ctrl-C would not wait. */
const once = (first: (interrupt: () => void) => void): NonNullable<RunOptions['onOutput']> => {
  let isFirst = true;
  return (_, interrupt) => {
    if (isFirst) first(interrupt);
    isFirst = false;
  };
};

describe('contextlora chat', () => {
  test('answers a given and a piped prompt alike, from a directory and from a GGUF file, and repeatably for a seed', async () => {
    const settings = ['--temperature', '1', '--seed', '3', '--max-tokens', '8'];
    const [given, piped, other] = [
      await chat(['--model', tiny, '--prompt', 'hello', ...settings]),
      await chat(['--model', tiny, ...settings], { input: 'hello' }),
      await chat(['--model', tiny, '--prompt', 'hello', ...settings, '--seed', '4']),
    ];
    expect(given).toMatchObject({ code: 0, err: '' });
    expect(given.out.length).toBeGreaterThan(3);
    expect(piped).toEqual(given);
    expect(other.out).not.toBe(given.out);
    const gguf = await chat([
      ...[
        '--model',
        fixture('gguf-tiny', 'llama-tiny.q8_0.gguf'),
        '--plain',
        '--prompt',
        'hello',
        '--max-tokens',
        '4',
      ],
    ]);
    expect(gguf).toMatchObject({ code: 0, err: '' });
  });

  test('answers with the adapter of a task, and in the form of a schema', async () => {
    const schema = join(directory, 'schema.json');
    await writeFile(schema, JSON.stringify({ type: 'object', properties: { go: { type: 'boolean' } } }));
    const model = ['--model', tiny, '--prompt', 'may I?', '--max-tokens', '40'];
    const [formed, plain, adapted] = [
      await chat([...model, '--schema', schema]),
      await chat(model),
      await chat([...model, '--adapter', fixture('partition/segments'), '--task', 'strategy']),
    ];
    expect(Object.keys(JSON.parse(formed.out) as object)).toEqual(['go']);
    expect(adapted.code).toBe(0);
    expect(adapted.out).not.toBe(plain.out);
  });

  test.each([
    'saved-head',
    'saved-embedding',
    'saved-both',
    'saved-norms',
    'head-llama-tiny',
    'embedding-tying',
  ])('answers with adapters/%s as PEFT does, whole weights and adapted matrices included', async (name) => {
    const { prompt, answers } = JSON.parse(await readFile(fixture('adapters/greedy.json'), 'utf8')) as {
      prompt: string;
      answers: Record<string, string>;
    };
    const asked = ['--model', tiny, '--plain', '--prompt', prompt, '--max-tokens', '6'];
    const { code, out } = await chat([...asked, '--adapter', fixture('adapters', name)]);
    expect({ code, out }).toEqual({ code: 0, out: `${answers[name] ?? ''}\n` });
    expect((await chat(asked)).out).not.toBe(out);
  });

  test.each([
    ['grown', /\[388, 64\], the model's is \[384, 64\]/],
    ['pissa', /init_lora_weights is "pissa"/],
    ['usual-smolvlm-tiny', /made for another model/],
  ])('refuses adapters/%s in one message', async (name, message) => {
    const asked = ['--model', tiny, '--plain', '--prompt', 'a', '--max-tokens', '2'];
    const { code, out, err } = await chat([...asked, '--adapter', fixture('adapters', name)]);
    expect({ code, out: out.trim() }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(message);
    expect(err).not.toMatch(/ {4}at /);
  });

  test('answers about a picture, as generate does from its features, whatever the form of the prompt', async () => {
    const [model, picture] = [fixture('smolvlm-tiny'), fixture('images/photo.jpg')];
    const asked = ['--model', model, '--image', picture, '--prompt', 'what is red ?', '--max-tokens', '6'];
    const base = await loadModel(model, { kernels: await openKernels() });
    const features = openImageFeatures(base);
    const [image] = await features.get([picture]);
    const written = async (prompt: readonly number[]) => {
      const events = generate(base, prompt, { image: image!, maximumNewTokens: 6 });
      for (;;) {
        const { done, value } = await events.next();
        if (done) return `${value.text}\n`;
      }
    };
    const plain = await chat([...asked, '--plain']);
    expect(plain).toEqual({
      code: 0,
      out: await written(promptIds(base, { prompt: 'what is red ?', image: picture })),
      err: '',
    });
    const message = { role: 'user', content: '<image>what is red ?' };
    const rendered = withImageTexts(base, renderChat(base.tokenizer, [message]), [{ rows: 0, columns: 0 }]);
    expect((await chat(asked)).out).toBe(await written(base.tokenizer.encode(rendered)));
    base.dispose();
    const other = [...asked, '--image', fixture('images/plain.png')];
    expect((await chat(other)).out).not.toBe((await chat(asked)).out);
    const turns = await chat(
      asked.filter((one) => !['--prompt', 'what is red ?'].includes(one)),
      {
        isTerminal: true,
        input: 'what is red ?\nand blue ?\n',
      },
    );
    expect(turns.code).toBe(0);
    expect(turns.out).toContain((await chat(asked)).out.trim());
  });

  test('explains that a model cannot see, and that a file is no picture', async () => {
    const blind = await chat(['--model', tiny, '--image', fixture('images/photo.jpg'), '--prompt', 'a']);
    expect(blind.code).toBe(2);
    expect(blind.err).toMatch(/the model has no vision tower, so it cannot see/);
    const text = ['--model', fixture('smolvlm-tiny'), '--image', fixture('README.md'), '--prompt', 'a'];
    expect((await chat(text)).err).toMatch(/cannot read .*README\.md as a picture/);
    expect((await chat(['--prompt', 'a'])).err).toMatch(/name a model with --model, or a run with --adapter/);
  });

  test('keeps the part of an answer that came before Ctrl-C, and exits with its code', async () => {
    const { code, out, err } = await chat(
      [
        '--model',
        tiny,
        '--prompt',
        'hello',
        '--temperature',
        '1',
        '--max-tokens',
        '100000',
        '--schema',
        await longSchema(),
      ],
      {
        onOutput: once((interrupt) => {
          interrupt();
        }),
      },
    );
    expect({ code, err }).toEqual({ code: 130, err: '' });
    expect(out).toMatch(/^".*\n$/s);
  });

  test('continues a conversation after a turn that is too long', async () => {
    const tooLong = 'word '.repeat(5000);
    const { code, out } = await chat(['--model', tiny, '--max-tokens', '3'], {
      input: `hello\n${tooLong}\n\nhello again\n`,
      isTerminal: true,
    });
    expect(code).toBe(0);
    const [before, first, second, empty, third, end] = out.split('> ');
    expect(before).toBe('');
    expect(first).not.toMatch(/model\//);
    expect(second).toMatch(/^model\/\w+: [^\n]*\n$/);
    expect(empty).toBe('');
    expect(third).not.toMatch(/model\//);
    expect(third?.trim().length).toBeGreaterThan(0);
    expect(end).toBe('');
  });

  const longSchema = async () => {
    const path = join(directory, 'long.json');
    await writeFile(path, JSON.stringify({ type: 'string', minLength: 200, maxLength: 250 }));
    return path;
  };

  test.each([
    ['a missing model', ['--model', 'nowhere', '--prompt', 'a'], /nowhere/],
    [
      'a model without a template',
      ['--model', fixture('gguf-tiny', 'llama-tiny.f16.gguf'), '--prompt', 'a'],
      /--plain gives it/,
    ],
    ['an empty prompt', ['--model', tiny], /the prompt is empty/],
    [
      'a missing schema',
      ['--model', tiny, '--prompt', 'a', '--schema', 'none.json'],
      /cannot read the schema none\.json/,
    ],
    [
      'a task without a run',
      ['--model', tiny, '--prompt', 'a', '--task', 'road'],
      /give its folder with --adapter/,
    ],
    [
      'a temperature below 0',
      ['--model', tiny, '--prompt', 'a', '--temperature', '-1'],
      /must be a number, 0 or more/,
    ],
    [
      'a top-p above 1',
      ['--model', tiny, '--prompt', 'a', '--top-p', '3'],
      /topP must be above 0 and at most 1, got 3/,
    ],
    [
      'an adapter of another model',
      ['--model', tiny, '--prompt', 'a', '--adapter', fixture('lora-smolvlm')],
      /made for another model/,
    ],
  ])('explains %s in one message, with exit code 2', async (_, args, message) => {
    const { code, out, err } = await chat(args);
    expect(err).toMatch(message);
    expect({ code, out: out.trim() }).toEqual({ code: 2, out: '' });
    expect(err).not.toMatch(/\n {4}at /);
  });
});
