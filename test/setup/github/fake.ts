import { serve } from '@hono/node-server';
import type { AddressInfo } from 'node:net';
import { type FakeRequest, fakeApp } from './app.ts';
import { type FakeAuth, gatekeeper } from './auth.ts';
import { type Fault, type FaultKind, type FaultScope, faultBox } from './faults.ts';
import { type RepoHandle, repoHandle } from './handle.ts';
import { createWorld } from './world.ts';

export type FakeGitHub = {
  /** Root of its REST API, for `GITHUB_API_URL`. */
  readonly url: string;
  /** Every request so far, in order. */
  readonly requests: FakeRequest[];
  /** Where a request or one of our own answers breaks GitHub's description. Empty when all is well. */
  readonly violations: string[];
  /** The clock of the fake, apart from ours. */
  readonly clock: { now(): Date; advance(ms: number): void };
  /** The repository of this name; made when it is new. */
  repo(fullName: string, options?: { issues?: number }): RepoHandle;
  fault(fault: FaultKind & FaultScope): Fault;
  clearFaults(): void;
  close(): Promise<void>;
};

export type FakeOptions = FakeAuth & {
  port?: number;
  /** Whether requests and answers are held to the description; costs time. Default true. */
  checked?: boolean;
};

/** Starts a fake GitHub on the loopback interface. */
export async function startFakeGitHub(options: FakeOptions = {}): Promise<FakeGitHub> {
  const world = createWorld();
  const faults = faultBox();
  const requests: FakeRequest[] = [];
  const violations: string[] = [];
  let url = '';
  const app = fakeApp({
    world,
    faults,
    gate: gatekeeper(options),
    requests,
    violations,
    checked: options.checked ?? true,
    base: () => url,
  });
  const server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port: options.port ?? 0 });
  await new Promise<void>((listening, failed) => {
    server.once('listening', listening);
    server.once('error', failed);
  });
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    requests,
    violations,
    clock: { now: world.now, advance: world.advance },
    repo: (fullName, { issues = 0 } = {}) => repoHandle(world, fullName, issues),
    fault: (fault) => faults.add(fault),
    clearFaults: () => faults.clearAll(),
    async close() {
      faults.clearAll();
      await new Promise<void>((closed) => {
        server.close(() => closed());
        if ('closeAllConnections' in server) server.closeAllConnections();
      });
    },
  };
}
