import { expect, test } from '@jest/globals';
import { readTokenizer, renderChat, type ChatMessage } from '@contextlora/model';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { fixture } from './golden.js';

const messages: ChatMessage[] = [{ role: 'user', content: 'hello' }];
const render = (template: string, options = {}) =>
  renderChat({ chatTemplate: template, specialTokens: { bos_token: '<s>' } }, messages, options);

test('chats are rendered and encoded as in transformers', async () => {
  const tokenizer = await readTokenizer(fixture('llama-tiny'));
  const { chat } = JSON.parse(await readFile(fixture('tokenizer-expected.json'), 'utf8')) as {
    chat: { messages: ChatMessage[]; add_generation_prompt: boolean; text: string; ids: number[] }[];
  };
  expect(chat).toHaveLength(4);
  for (const { messages: given, add_generation_prompt: addGenerationPrompt, text, ids } of chat) {
    const rendered = renderChat(tokenizer, given, { addGenerationPrompt });
    expect(rendered).toBe(text);
    expect(tokenizer.encode(rendered)).toEqual(ids);
  }
});

test('a template is found next to the tokenizer, in its config and in a list of named templates', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'chat-template-'));
  try {
    await cp(fixture('llama-tiny'), directory, { recursive: true });
    const path = join(directory, 'tokenizer_config.json');
    const config = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
    const beside = (await readTokenizer(directory)).chatTemplate;
    expect(beside).toBe(await readFile(fixture('llama-tiny', 'chat_template.jinja'), 'utf8'));
    await rm(join(directory, 'chat_template.jinja'));
    expect((await readTokenizer(directory)).chatTemplate).toBeUndefined();
    await writeFile(path, JSON.stringify({ ...config, chat_template: 'one' }));
    expect((await readTokenizer(directory)).chatTemplate).toBe('one');
    const named = [
      { name: 'tool_use', template: 'tools' },
      { name: 'default', template: 'two' },
    ];
    await writeFile(path, JSON.stringify({ ...config, chat_template: named }));
    expect((await readTokenizer(directory)).chatTemplate).toBe('two');
  } finally {
    await rm(directory, { recursive: true });
  }
});

// What AutoProcessor, and without its files AutoTokenizer, of transformers 5.24 takes.
test.each([
  ['chat_template.json', { 'chat_template.json': { chat_template: 'old' } }, 'old'],
  ['processor_config.json', { 'processor_config.json': { chat_template: 'processor' } }, 'processor'],
  [
    'chat_template.jinja before chat_template.json without a processor',
    { 'chat_template.jinja': 'main', 'chat_template.json': { chat_template: 'old' } },
    'main',
  ],
  [
    'chat_template.json before chat_template.jinja with a processor',
    {
      'chat_template.jinja': 'main',
      'chat_template.json': { chat_template: 'old' },
      'preprocessor_config.json': {},
    },
    'old',
  ],
  [
    'processor_config.json before both',
    {
      'chat_template.jinja': 'main',
      'chat_template.json': { chat_template: 'old' },
      'processor_config.json': { chat_template: 'processor' },
    },
    'processor',
  ],
  [
    'chat_template.jinja beside additional templates',
    { 'chat_template.jinja': 'main', 'additional_chat_templates/rag.jinja': 'rag' },
    'main',
  ],
  ['additional templates without a default', { 'additional_chat_templates/rag.jinja': 'rag' }, undefined],
])('a template is found in %s', async (_, files, expected) => {
  const directory = await mkdtemp(join(tmpdir(), 'chat-template-'));
  try {
    await cp(fixture('llama-tiny'), directory, { recursive: true });
    await rm(join(directory, 'chat_template.jinja'));
    await mkdir(join(directory, 'additional_chat_templates'));
    for (const [name, content] of Object.entries(files))
      await writeFile(join(directory, name), typeof content === 'string' ? content : JSON.stringify(content));
    const tokenizer = await readTokenizer(directory);
    expect(tokenizer.chatTemplate).toBe(expected);
    if ('additional_chat_templates/rag.jinja' in files)
      expect(renderChat(tokenizer, messages, { template: 'rag' })).toBe('rag');
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('a template gets the special tokens, the date if there is one, and additional variables', () => {
  expect(render('{{ bos_token }}{{ messages[0].content }}{{ add_generation_prompt }}')).toBe('<s>helloTrue');
  expect(render('{{ strftime_now("%d %b %Y") }}', { now: new Date(2026, 6, 4) })).toBe('04 Jul 2026');
  expect(render('{{ mood }}', { variables: { mood: 'calm' } })).toBe('calm');
  expect(render('{% for i in range(1, 6, 2) %}{{ i }}{% endfor %}{{ range(2) | length }}')).toBe('1352');
  expect(render('{%- if tools %}tools{%- else %}none{%- endif %}')).toBe('none');
});

test('a template that fails gives one clear message', () => {
  expect(() => render('{{ raise_exception("roles must alternate") }}')).toThrow(
    'model/renderChat: the chat template refuses these messages: roles must alternate',
  );
  expect(() => render('{% for %}')).toThrow('model/renderChat: the chat template cannot be parsed');
  expect(() => render('{{ messages.nothing() }}')).toThrow('model/renderChat: the chat template fails');
  expect(() => render('{{ strftime_now("%Y") }}')).toThrow('it writes the date, and none is given');
  expect(() => renderChat({ chatTemplate: undefined, specialTokens: {} }, messages)).toThrow(
    'the model has no chat template; pass one, or pass a plain prompt to generate (looked for in chat_template.jinja, additional_chat_templates, tokenizer_config.json, chat_template.json, processor_config.json)',
  );
});

test('a message with a picture comes in parts where a template looks at their types, as text elsewhere', () => {
  const asked: ChatMessage[] = [
    { role: 'system', content: 'be brief' },
    { role: 'user', content: [{ type: 'image' }, { type: 'text', text: 'what is red ?' }] },
  ];
  const rendered = (chatTemplate: string, given = asked) =>
    renderChat({ chatTemplate, specialTokens: {} }, given, { imageToken: '<image>' });
  // The form of the templates of SmolVLM and Idefics3.
  const parts =
    "{% for m in messages %}{{ m.role }}:{% for part in m['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}{% elif part['type'] == 'image' %}<image>{% endif %}{% endfor %};{% endfor %}";
  expect(rendered(parts)).toBe('system:be brief;user:<image>what is red ?;');
  const text = '{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}';
  expect(rendered(text)).toBe('system:be brief;user:<image>what is red ?;');
  // Without a picture messages stay as they are, whatever the template looks at.
  expect(rendered("{{ messages[0].content[0]['type'] }}|{{ messages[0].content }}", asked.slice(0, 1))).toBe(
    '|be brief',
  );
});
