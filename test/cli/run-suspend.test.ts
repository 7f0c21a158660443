import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  carrying,
  lives,
  pidIn,
  startSupervised,
  type Supervised,
  touch,
  waitFor,
} from '../setup/supervised.ts';
import { until } from '../setup/until.ts';

let flow: Supervised;
beforeAll(async () => {
  flow = await startSupervised();
});
afterAll(() => flow.stop());

const isStopped = (pid: number): boolean =>
  /\) [Tt] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));

/** Of two looks, as one may end while it is looked at. */
function keepers(id: string): number[] {
  const all = new Set(carrying('DEFIB_KEEP_ALIVE'));
  return carrying(id).filter((pid) => all.has(pid));
}

async function suspended(name: string) {
  const { worktree } = flow.clone(name);
  await flow.policy({ leaseSeconds: 5 });
  const pid = join(flow.root, `${name}.pid`);
  const script = `echo $$ > ${pid}; ${waitFor(join(flow.root, name, 'go'))}; echo done`;
  const one = flow.run({ cwd: worktree, script });
  const id = await flow.idOf(one);
  await pidIn(pid);
  await until('it runs', async () => (await flow.session(id)).status === 'running');
  process.kill(one.pid, 'SIGTSTP');
  await until('it stands still', () => isStopped(one.pid));
  return { one, id };
}

// What the terminal does with the agent is not ours; its key reaches both.
it.skipIf(process.platform !== 'linux')(
  'stopped by Ctrl-Z, a session lives on for longer than its lease, and goes on',
  async () => {
    const { one, id } = await suspended('stopped');
    const leaseOf = async () => Date.parse((await flow.session(id)).leaseExpiresAt);
    const first = await leaseOf();
    await until(
      'its lease was renewed again and again',
      async () => (await leaseOf()) > first + 6000,
    );
    expect(keepers(id)).toHaveLength(1);
    process.kill(one.pid, 'SIGCONT');
    await until('nobody else beats any more', () => keepers(id).length === 0);
    touch(join(flow.root, 'stopped'), 'go');
    expect(await one.exited).toMatchObject({ code: 0, stdout: 'done\n' });
    expect((await flow.session(id)).attempts).toMatchObject([{ status: 'completed' }]);
  },
);

it.skipIf(process.platform !== 'linux')(
  'killed while it stands still, it is found dead as ever',
  async () => {
    const { one, id } = await suspended('killed');
    const keeper = await until('somebody beats for it', () => keepers(id)[0]);
    process.kill(one.pid, 'SIGKILL');
    await until('that ends too', () => !lives(keeper));
    await until('it timed out', async () => (await flow.session(id)).status === 'timed_out');
  },
);
