export default {
  projects: ['<rootDir>/packages/*'],
  // Of several projects only the root's own is heeded: a slow, busy machine is not a failure.
  testTimeout: 120_000,
  // Jest leaves one core to its own process, which has nothing to do: on two cores, half of the machine.
  maxWorkers: '100%',
};
