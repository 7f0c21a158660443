import type { Pass, PassResult } from './types.ts';

/** Names of agents are spread so that no contender can collapse all calls into one agent's. */
const AGENTS = 32;

export const agentOf = (i: number): string => `agent-${i % AGENTS}`;

export const agentNames = (): string[] => Array.from({ length: AGENTS }, (_, i) => agentOf(i));

export const passOf = (i: number): Pass => ({ agentName: agentOf(i), tick: i });

/** The trivial deterministic step that every worker runs and records. */
export const step = (pass: Pass): { tick: number } => ({ tick: pass.tick });

/** Throws unless the answer is the one for this very call: a mixed-up answer is not a roundtrip. */
export function expectAnswer(answer: unknown, i: number): PassResult {
  const result = answer as PassResult | null | undefined;
  if (result?.status !== 'ok' || result.tick !== i) {
    throw new Error(`Call ${i} was answered with ${JSON.stringify(answer)}`);
  }
  return result;
}
