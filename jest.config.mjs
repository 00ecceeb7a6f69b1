export default {
  projects: ['<rootDir>/packages/*'],
  // Of several projects only the root's own is heeded: a slow, busy machine is not a failure.
  testTimeout: 120_000,
};
