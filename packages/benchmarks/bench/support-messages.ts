/**
 * Customers' messages from sentence patterns: a topic, and an action that follows from the topic and the tone of the message.
 *
 * Patterns of the test set never occur in training, so the test measures reading, not memory. All text was written for this project.
 */
import { keyedRandom } from '@contextlora/lora';

export const topics = ['delivery', 'payment', 'quality', 'account'] as const;
export const actions = ['wait', 'call', 'check', 'refund', 'repair', 'replace', 'reset', 'close'] as const;
export type Topic = (typeof topics)[number];
export type Action = (typeof actions)[number];

export interface SupportMessage {
  readonly text: string;
  readonly topic: Topic;
  readonly action: Action;
}

/** The action for a patient customer, then the action for an impatient one. */
const rule: Readonly<Record<Topic, readonly [Action, Action]>> = {
  delivery: ['wait', 'call'],
  payment: ['check', 'refund'],
  quality: ['repair', 'replace'],
  account: ['reset', 'close'],
};

type Split = 'train' | 'test';
const complaints: Readonly<Record<Topic, Readonly<Record<Split, readonly string[]>>>> = {
  delivery: {
    train: [
      'My {item} has not arrived yet.',
      'The courier never came with the {item}.',
      'I am still waiting for the {item} I ordered {time}.',
      'Tracking says the {item} is stuck in a depot.',
      'The parcel with my {item} went to the wrong street.',
      'Nobody has brought the {item} that was promised for {time}.',
    ],
    test: [
      'It has been a while since {time} and the {item} is not here.',
      'The driver left without handing over my {item}.',
      'Where is the box with the {item}?',
    ],
  },
  payment: {
    train: [
      'I was charged twice for the {item}.',
      'My card was billed for a {item} I never bought.',
      'The invoice for the {item} shows the wrong amount.',
      'The discount on the {item} was not taken off my bill.',
      'You took the money for the {item} again {time}.',
      'My bank statement lists the {item} at double the price.',
    ],
    test: [
      'The sum on my receipt for the {item} is too high.',
      'Someone debited my account two times for one {item}.',
      'I paid more for the {item} than your website said.',
    ],
  },
  quality: {
    train: [
      'The {item} broke after one day.',
      'My {item} makes a strange noise.',
      'There is a crack in the {item}.',
      'The {item} stopped working {time}.',
      'A button of the {item} fell off.',
      'The {item} gets far too hot when I use it.',
    ],
    test: [
      'The {item} will not switch on any more.',
      'One side of the {item} is scratched and loose.',
      'Since {time} the {item} only works now and then.',
    ],
  },
  account: {
    train: [
      'I cannot log in to see my order of the {item}.',
      'My password is not accepted since {time}.',
      'The website says my user name does not exist.',
      'I do not get the code to sign in.',
      'My profile still shows an old email address.',
      'The login page locks me out after I bought the {item}.',
    ],
    test: [
      'Signing in fails every time I try.',
      'I forgot the secret word for my profile.',
      'The app does not recognise my user any more since {time}.',
    ],
  },
};
const tones: Readonly<Record<'patient' | 'angry', Readonly<Record<Split, readonly string[]>>>> = {
  patient: {
    train: [
      'No hurry.',
      'Thanks for having a look.',
      'I am sure we can sort this out.',
      'Take your time.',
      'Have a nice day.',
    ],
    test: ['There is no rush at all.', 'Many thanks in advance.', 'I appreciate your help.'],
  },
  angry: {
    train: [
      'This is unacceptable!',
      'I have had enough.',
      'You will never see me again.',
      'I am furious.',
      'What a disgrace!',
    ],
    test: ['I am done with you!', 'This is outrageous.', 'Worst shop ever.'],
  },
};
const items: Readonly<Record<Split, readonly string[]>> = {
  train: ['kettle', 'lamp', 'bicycle', 'jacket', 'printer', 'camera', 'chair', 'phone'],
  test: ['toaster', 'headset', 'backpack', 'keyboard'],
};
const times: Readonly<Record<Split, readonly string[]>> = {
  train: ['last week', 'on Monday', 'two days ago', 'in March'],
  test: ['yesterday', 'last month'],
};

/** `count` messages, topics and tones in equal shares. */
export function supportMessages(split: Split, count: number, seed: number): SupportMessage[] {
  return Array.from({ length: count }, (_, i) => {
    const random = keyedRandom(seed, 'support-messages', split, i);
    const topic = topics[i % topics.length]!;
    const tone = Math.floor(i / topics.length) % 2;
    const complaint = random
      .pick(complaints[topic][split])
      .replace('{item}', random.pick(items[split]))
      .replace('{time}', random.pick(times[split]));
    const mood = random.pick(tones[tone === 0 ? 'patient' : 'angry'][split]);
    const text = random.next() < 0.5 ? `${complaint} ${mood}` : `${mood} ${complaint}`;
    return { text, topic, action: rule[topic][tone]! };
  });
}
