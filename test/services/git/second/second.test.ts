import { expect, test } from 'vitest';
import { runCase } from './cases.ts';

/*
 * Random repositories and actions between captures, drawn from git's manual. More of them:
 * DEFIB_SECOND_CASES=500 npx vitest run test/services/git/second, or node test/services/git/second/run.ts SEED CASES
 */
const FIRST_SEED = 201;
const CASES = Number(process.env['DEFIB_SECOND_CASES'] ?? 2);

test(
  'what git knows of a random worktree comes back, and a capture changes none of it',
  { timeout: 60_000 * Math.max(CASES, 3) },
  async () => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + CASES; seed += 1) {
      const { problems, log } = await runCase(seed);
      expect(problems, `seed ${seed}: ${log.join(' ')}`).toEqual([]);
    }
  },
);
