import { readFile } from 'node:fs/promises';

import { expect, test } from '@jest/globals';
import * as umbrella from 'contextlora';
import type { LocalModel, Example } from '@contextlora/model';
import type { TrainableModel } from '@contextlora/trainer';

/** Fails to compile when the model no longer meets the trainer's interface. */
const asTrainable = (model: LocalModel): TrainableModel<Example> => model;

test('a local model is what the trainer trains', () => {
  expect(typeof asTrainable).toBe('function');
});

test('the umbrella re-exports every package it depends on', async () => {
  const { dependencies } = JSON.parse(
    await readFile(new URL('../package.json', import.meta.url), 'utf8'),
  ) as {
    dependencies: Record<string, string>;
  };
  const ours = Object.keys(dependencies).filter((name) => name.startsWith('@contextlora/'));
  const camel = (name: string) =>
    name.replace('@contextlora/', '').replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
  expect(ours.length).toBeGreaterThan(5);
  for (const name of ours) expect(Object.keys(umbrella)).toContain(camel(name));
});
