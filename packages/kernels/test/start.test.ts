import { describe, expect, test } from '@jest/globals';

describe('the start of the wasm backend', () => {
  test('a memory that the process may not have is named, before tfjs prints what it makes of it', async () => {
    const scope = globalThis as unknown as { WebAssembly: object };
    const real = scope.WebAssembly;
    function Memory() {
      throw new RangeError('WebAssembly.Memory(): could not allocate memory');
    }
    scope.WebAssembly = Object.assign(Object.create(real) as object, { Memory });
    try {
      const { openKernels } = await import('@contextlora/kernels');
      await expect(openKernels({ prefer: 'wasm' })).rejects.toMatchObject({
        code: 'KERNELS_MEMORY_REFUSED',
        message: expect.stringContaining('ulimit -v') as unknown,
      });
    } finally {
      scope.WebAssembly = real;
    }
  });
});
