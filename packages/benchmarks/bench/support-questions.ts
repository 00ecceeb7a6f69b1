/** The two dependent text tasks on customers' messages: how each asks, and their graph. */
import type { Example } from '@contextlora/model';
import { buildTaskGraph, type TaskGraph, type TaskSpec } from '@contextlora/task-graph';

import { actions, type SupportMessage, topics } from './support-messages.js';

/** The prompts of both tasks. */
export const askAbout = {
  topic: ({ text }: SupportMessage) => `Customer: ${text}\nWhat is it about: ${topics.join(', ')}?\nTopic:`,
  action: ({ text }: SupportMessage, topic: string) =>
    `Customer: ${text}\nTopic: ${topic}\nWhat to do: ${actions.join(', ')}?\nAction:`,
};
/** A row of the first task. */
export const topicOf = (message: SupportMessage): Example => ({
  prompt: askAbout.topic(message),
  answer: message.topic,
  labels: topics,
});
/** A row of the second task, with a topic in its prompt. */
export const actionOf = (message: SupportMessage, topic: string): Example => ({
  prompt: askAbout.action(message, topic),
  answer: message.action,
  labels: actions,
});

/** The topic, then the action that it calls for. */
export function supportGraph(): TaskGraph {
  const task = (id: string, dependsOn: string[]): TaskSpec => ({
    id,
    dependsOn,
    instruction: id,
    inputs: ['text'],
    answer: { type: 'text' },
    data: {},
  });
  return buildTaskGraph([task('topic', []), task('action', ['topic'])]);
}
