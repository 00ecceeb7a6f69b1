import { expect, test } from '@jest/globals';
import { openKernels } from '@contextlora/kernels';

import { dropRethrowListeners } from '../src/drop-rethrow-listeners.js';

test('opening kernels leaves no listener for uncaught errors behind', async () => {
  const before = process.listeners('uncaughtException');
  await openKernels({ prefer: 'wasm' });
  expect(process.listeners('uncaughtException')).toEqual(before);
  expect(process.listeners('unhandledRejection').map(String).join()).not.toMatch(/throw reason/);
});

test('a listener that others add meanwhile stays, unless it only throws its argument again', async () => {
  const useful = (error: unknown) => {
    process.stderr.write(String(error));
  };
  const rethrows = function (error: unknown) {
    throw error;
  };
  await dropRethrowListeners(() => {
    process.on('uncaughtException', useful).on('uncaughtException', rethrows);
    return Promise.resolve();
  });
  try {
    expect(process.listeners('uncaughtException')).toContain(useful);
    expect(process.listeners('uncaughtException')).not.toContain(rethrows);
  } finally {
    process.off('uncaughtException', useful).off('uncaughtException', rethrows);
  }
});
