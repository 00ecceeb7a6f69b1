import { defineConfig, type Options } from 'tsup';

/** The one build of every package: ESM, CommonJS and types, from `src/index.ts` unless told otherwise. */
export const library = (over: Options = {}) =>
  defineConfig({
    entry: ['src/index.ts'],
    format: ['esm', 'cjs'],
    target: 'node20',
    platform: 'node',
    // tsup sets `baseUrl`, which TypeScript 6 calls deprecated.
    dts: { compilerOptions: { ignoreDeprecations: '6.0' } },
    sourcemap: true,
    // The sources are published next to the maps.
    esbuildOptions(options) {
      options.sourcesContent = false;
    },
    clean: true,
    treeshake: false,
    splitting: true,
    shims: true,
    ...over,
  });
