import { expect, test } from '@jest/globals';
import { openKernels } from '@contextlora/kernels';

test('opening kernels leaves no listener for uncaught errors behind, and takes none away', async () => {
  const listener = () => undefined;
  const added = (error: unknown) => {
    process.stderr.write(String(error));
  };
  process.on('uncaughtException', listener);
  const before = process.listeners('uncaughtException');
  const opening = openKernels({ prefer: 'wasm' });
  process.on('uncaughtException', added);
  await opening;
  try {
    expect(process.listeners('uncaughtException')).toEqual([...before, added]);
    expect(process.listeners('unhandledRejection').map(String).join()).not.toMatch(/throw reason/);
  } finally {
    process.off('uncaughtException', listener);
    process.off('uncaughtException', added);
  }
});
