import { REPOSITORY } from './defib.ts';
import { freePort, startProcess, waitUntilReady } from './process.ts';

export type FakeGitHubServer = {
  url: string;
  /** Full names of its repositories. */
  repos: string[];
  /** How many requests it has answered so far. */
  requests(): Promise<number>;
  stop(): Promise<void>;
};

/** The fake GitHub of the tests, with 50 issues in each repository, as a process of its own. */
export async function startFakeGitHub(repos: number): Promise<FakeGitHubServer> {
  const port = await freePort();
  const args = ['test/setup/github/main.ts', '--port', String(port), '--repos', String(repos)];
  const server = startProcess(process.execPath, [...args, '--issues', '50'], { cwd: REPOSITORY });
  const url = `http://127.0.0.1:${port}`;
  const requests = async (): Promise<number> => {
    const answer = (await (await fetch(`${url}/_requests`)).json()) as { requests: number };
    return answer.requests;
  };
  const stop = () => server.stop('SIGTERM', 5_000);
  const ready = async () => (await requests()) >= 0;
  await waitUntilReady('The fake GitHub', server, ready, 15_000).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  return {
    url,
    repos: Array.from({ length: repos }, (_, index) => `acme/repo-${index + 1}`),
    requests,
    stop,
  };
}
