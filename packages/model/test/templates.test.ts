import { expect, test } from '@jest/globals';
import { type ChatMessage, ModelError, renderChat } from '@contextlora/model';
import { readFile } from 'node:fs/promises';

import { fixture } from './golden.js';

const { messages, variables, cases } = JSON.parse(
  await readFile(fixture('templates-expected.json'), 'utf8'),
) as { messages: ChatMessage[]; variables: Record<string, unknown>; cases: [string, string | null][] };

const now = new Date(2026, 6, 5, 9, 8, 7);
const render = (template: string) =>
  renderChat({ chatTemplate: template, specialTokens: {} }, messages, { variables, now });

/** What jinja2 has and this interpreter does not. */
const unsupported =
  /is not supported|integers are supported|prints a|Markup|_indented_|swapcase|casefold|too large/;

test('templates are rendered as by jinja2 in the settings of transformers, or refused', () => {
  const wrong: unknown[] = [];
  let refused = 0;
  for (const [template, expected] of cases) {
    let got: string | null = null;
    let reason = '';
    try {
      got = render(template);
    } catch (error) {
      expect(error).toBeInstanceOf(ModelError);
      reason = (error as Error).message;
    }
    if (got === expected) continue;
    if (got === null && unsupported.test(reason)) refused++;
    else wrong.push([template, expected, got ?? reason]);
  }
  expect(wrong).toEqual([]);
  expect(cases.length).toBeGreaterThan(2500);
  expect(refused).toBeLessThan(10);
});

test.each([
  ['{% include "x" %}', 'line 1: the tag {% include %} is not supported'],
  ['a\n{% if 1 %}', '{% elif %} or {% else %} or {% endif %} is missing'],
  ['{{ "a }}', 'line 1: """ is unexpected'],
  ['{{ x|urlize }}', 'the filter "urlize" is not supported'],
  ['{{ "x".encode() }}', 'the method "encode" of texts is not supported'],
  ['{{ 1 is odder }}', 'the test "odder" is not supported'],
  ['{{ strftime_now("%Q") }}', 'it writes the date as %Q, which is not supported'],
  ['{{ range }}', 'it prints a function'],
  ['{{ ("<"|safe) ~ "<" }}', 'a Markup is used, which is not supported'],
])('the template %s is refused by name', (template, message) => {
  expect(() => render(template)).toThrow(message);
});

test('messages are given without what is empty, and tools select the template of that name', () => {
  const tokenizer = {
    chatTemplate: 'default',
    namedTemplates: { default: 'default', tool_use: 'tools', rag: 'rag' },
    specialTokens: {},
  };
  const user = [{ role: 'user', content: 'hi', name: null } as ChatMessage];
  expect(renderChat(tokenizer, user)).toBe('default');
  expect(renderChat(tokenizer, user, { variables: { tools: [] } })).toBe('tools');
  expect(renderChat(tokenizer, user, { template: 'rag' })).toBe('rag');
  expect(renderChat(tokenizer, user, { template: '{{ messages[0].name is defined }}' })).toBe('False');
  expect(() => renderChat({ ...tokenizer, chatTemplate: undefined }, user)).toThrow(
    'the model has several chat templates and none is called "default"; name one of default, tool_use, rag',
  );
});
