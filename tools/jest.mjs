/** Shared Jest preset: native ESM, SWC transform, workspace packages resolved to source. */
export const preset = (rootDir) => ({
  rootDir,
  displayName: rootDir.split('/').at(-1),
  testEnvironment: import.meta.dirname + '/jest-environment.mjs',
  // A slow, busy machine is not a failure.
  testTimeout: 120_000,
  testEnvironmentOptions: {
    globalsCleanup: 'off',
    customExportConditions: ['@contextlora/source', 'node', 'node-addons'],
  },
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': ['$1.ts', '$1.js'] },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  injectGlobals: false,
});
