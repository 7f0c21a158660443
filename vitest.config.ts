import { defineConfig } from 'vitest/config';

/** Tests that start processes or kill them, or drive real agents: they use the machine for themselves. */
const PROCESSES = [
  'test/abuse/resources.test.ts',
  'test/bench/**/*.test.ts',
  'test/cli/**/*.test.ts',
  'test/db/embedded/**/*.test.ts',
  'test/db/embedded.test.ts',
  'test/faults/**/*.test.ts',
  'test/flow/**/*.test.ts',
  'test/**/processes.test.ts',
  'test/**/real-agents.test.ts',
  'test/*.test.ts',
];

/**
 * They wait on conditions, so that a time limit only says when to give up. It is as long as a machine that is
 * busy with something else may take.
 */
const PATIENCE = { testTimeout: 300_000, hookTimeout: 300_000 };

export default defineConfig({
  test: {
    globalSetup: ['test/setup/global.ts'],
    projects: [
      {
        extends: true,
        test: {
          name: 'in-process',
          include: ['test/**/*.test.ts'],
          exclude: PROCESSES,
          ...PATIENCE,
          // Mostly they wait for PostgreSQL, each for a database of its own.
          maxWorkers: 3,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'processes',
          include: PROCESSES,
          ...PATIENCE,
          // Two cores: more workers than that only make each of them slower.
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
