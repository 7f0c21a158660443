import { execFileSync } from 'node:child_process';
import { rmSync, symlinkSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkpointRef } from '../../src/services/git/names.ts';
import { deltaBundle, treeBundle } from '../services/git/bombs.ts';
import { commitAll, put, seeded, userGit } from '../services/git/helpers.ts';
import { bundleOf } from '../setup/upload.ts';
import { ATTACKER, type Attacked, type AttackedSession, startAttacked } from './attacked.ts';
import { type Seen, watch } from './watch.ts';

const MIB = 1024 * 1024;
/** What a git child may have. */
const CAP = 1024 * MIB;

/** `DEFIB_ABUSE_ROUNDS=50 npx vitest run test/abuse/resources.test.ts` for all attacks at once, many times. */
const ROUNDS = Number(process.env['DEFIB_ABUSE_ROUNDS'] ?? 0);

const REASONING = { approach: 'think before' };
// Put together at run time, so that no scanner takes this file for a leak.
const GITHUB = ['ghp', 'wWPw5k4aXcaT4fNP0UcnZwJUVFk6LO0pINUx'].join('_');
const dense = `${GITHUB} `.repeat(5800);
const secretNo = (n: number) => `${['password', 's3cr3t'].join('=')}${String(n).padStart(6, '0')}`;
const colliding = Object.fromEntries(Array.from({ length: 5500 }, (_, n) => [secretNo(n), 1]));
const toolCall = (input: object) => ({ pendingToolCalls: [{ tool: 'x', input }] });

let attacked: Attacked;
let floor: Seen;

/** An attack: made ready before anybody looks, and what it must be answered. */
type Attack = [name: string, prepare: () => Promise<() => Promise<void>>];

let folders = 0;
function worktree(): string {
  folders += 1;
  const folder = join(attacked.work, `n${folders}`);
  userGit(attacked.work, ['init', '--quiet', '-b', 'main', folder]);
  put(folder, 'a.txt', 'one\n');
  commitAll(folder);
  put(folder, 'a.txt', 'two\n');
  return folder;
}

const times = <T>(count: number, make: () => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, make));

/** Captures of a worktree that was spoilt, `count` at once. */
const inWorktree =
  (count: number, spoil: (folder: string) => void, expected: object) =>
  async (): Promise<() => Promise<void>> => {
    const folder = worktree();
    spoil(folder);
    const sessions = await times(count, () => attacked.session({ worktree: folder, host: 'here' }));
    const body = { trigger: 'abuse', reasoning: REASONING };
    return async () => {
      const answers = await Promise.all(sessions.map((session) => session.save(body)));
      for (const answer of answers) {
        expect(answer).toMatchObject({ status: 201, body: { reasoning: REASONING, ...expected } });
      }
    };
  };

/** As many as Node has for files: each of them could wait for a FIFO. */
const THREADS = 4;

const fifo = (name: string) => (folder: string) => {
  rmSync(join(folder, name), { force: true });
  execFileSync('mkfifo', [join(folder, name)]);
};
const refused = { commit: null, warnings: [expect.stringMatching(/FIFO.*remove it/)] };
const saved = { commit: expect.any(String) };

type Upload = { session: AttackedSession; commit: string; bundle: Buffer };

/** What is said with a bundle that is refused is kept, and its files are not. */
const refusedUpload =
  (make: () => Promise<Upload>, message: RegExp) => async (): Promise<() => Promise<void>> => {
    const { session, commit, bundle } = await make();
    return async () => {
      const meta = { trigger: 'abuse', commit, reasoning: REASONING };
      const detail = expect.stringMatching(message);
      expect(await session.save(meta, bundle)).toMatchObject({
        status: 422,
        body: { code: 'invalid', detail },
      });
      const { body } = await attacked.call('GET', `/api/sessions/${session.id}/checkpoints`);
      expect(body.items).toMatchObject([{ commit: null, reasoning: REASONING }]);
    };
  };

async function deltas(): Promise<Upload> {
  const session = await attacked.session();
  const commit = 'a'.repeat(40);
  return {
    session,
    commit,
    bundle: deltaBundle(checkpointRef(ATTACKER, session.id), commit, 40_000),
  };
}

async function trees(): Promise<Upload> {
  const session = await attacked.session();
  const made = await treeBundle(seeded(), { agentName: ATTACKER, sessionId: session.id });
  return { session, ...made };
}

const reasonings = (count: number, reasoning: object) => async () => {
  const sessions = await times(count, () => attacked.session());
  return async () => {
    const body = { trigger: 'abuse', reasoning };
    const answers = await Promise.all(sessions.map((session) => session.save(body)));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 201));
    expect(JSON.stringify(answers.map((answer) => answer.body))).not.toMatch(/s3cr3t|wWPw5k4/);
  };
};

const attacks: Attack[] = [
  ['a FIFO in the git directory', inWorktree(THREADS, fifo('.git/shallow'), refused)],
  ['a FIFO with attributes', inWorktree(THREADS, fifo('.gitattributes'), refused)],
  [
    'attributes from a device without end',
    inWorktree(2, (folder) => symlinkSync('/dev/zero', join(folder, '.gitattributes')), saved),
  ],
  [
    'an index of 3 GB',
    inWorktree(2, (folder) => truncateSync(join(folder, '.git', 'index'), 3 * 1024 * MIB), saved),
  ],
  ['deltas that unpack to gigabytes', refusedUpload(deltas, /memory/)],
  ['a tree of ten thousand million paths', refusedUpload(trees, /paths/)],
  ['ten large reasonings', reasonings(10, { transcriptTail: dense })],
  ['thousands of keys that redact to one name', reasonings(1, toolCall(colliding))],
];

/** The same kinds of work, by somebody who means well. */
async function harmless(): Promise<() => Promise<void>> {
  const capture = await inWorktree(THREADS, () => {}, saved)();
  const prose = await reasonings(2, { transcriptTail: 'It works. '.repeat(23_000) })();
  const session = await attacked.session();
  const { commit, bundle } = await bundleOf(worktree(), session, { agentName: ATTACKER });
  return async () => {
    const meta = { trigger: 'turn', commit, reasoning: REASONING };
    const sent = session.save(meta, bundle);
    await Promise.all([capture(), prose(), sent]);
    expect((await sent).status).toBe(201);
  };
}

async function watched(work: () => Promise<void>): Promise<Seen> {
  const { process: service, dataDir, others } = attacked;
  const { seen } = await watch({ pid: service.pid, url: service.url, dataDir, others }, work);
  if (ROUNDS > 0) console.log(seen);
  return seen;
}

/**
 * The long form is for a machine that does nothing else, so its limits are times. Else they are far more than without
 * an attack, on however busy a machine, and far less than these attacks once cost.
 */
const limit = (quietMs: number, floorMs: number): number =>
  ROUNDS > 0 ? quietMs : Math.max(20 * floorMs, 3000);

function expectUnharmed(seen: Seen): void {
  expect(seen.outcomes).toEqual(seen.outcomes.map(() => 200));
  expect(seen.p99).toBeLessThan(limit(1000, floor.p99));
  expect(seen.stoodStill).toBeLessThan(limit(100, floor.stoodStill));
  expect(seen.service).toBeLessThan(1.5 * floor.service + CAP);
  expect(seen.together).toBeLessThan(1.5 * floor.together + CAP);
  expect(seen.disk).toBeLessThan(floor.disk + CAP);
}

// The watchdog reads /proc.
describe.skipIf(process.platform !== 'linux')(
  'while an agent attacks, the others are served',
  () => {
    beforeAll(async () => {
      attacked = await startAttacked();
      const first = await harmless();
      await first(); // Loads everything.
      floor = await watched(await harmless());
      // A watchdog that sees nothing would find everything well.
      const blind = Object.entries(floor).filter(
        ([, value]) => typeof value === 'number' && !(value > 0),
      );
      expect(blind).toEqual([]);
    });
    afterAll(() => attacked?.stop());

    it.each(attacks)('%s', async (_name, prepare) => {
      const attack = await prepare();
      expectUnharmed(await watched(attack));
    });

    it.skipIf(ROUNDS === 0)('all of it at once, again and again', async () => {
      for (let round = 1; round <= ROUNDS; round += 1) {
        const works = await Promise.all(attacks.map(([, prepare]) => prepare()));
        const seen = await watched(async () => {
          await Promise.all(works.map((work) => work()));
        });
        expectUnharmed(seen);
      }
    });

    it('and the service is well afterwards, and ends when it is told to', async () => {
      expect((await attacked.call('GET', '/readyz', { token: null })).status).toBe(200);
      const again = await attacked.session();
      expect((await again.save({ trigger: 'turn', reasoning: REASONING })).status).toBe(201);
      attacked.process.send('SIGTERM');
      expect(await attacked.process.exited).toBe(0);
    });
  },
);
