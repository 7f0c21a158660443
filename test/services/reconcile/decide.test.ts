import { describe, expect, test } from 'vitest';
import type { ClaimRow } from '../../../src/db/queries/claims.ts';
import { decide } from '../../../src/services/reconcile/decide.ts';
import { defaultReconcileSettings } from '../../../src/services/reconcile/settings.ts';

const { labels } = defaultReconcileSettings;
const rules = { agentName: 'builder', labels, graceSeconds: 3600 };
const now = new Date('2026-03-01T12:00:00Z');
const ago = (minutes: number) => new Date(now.getTime() - minutes * 60_000);
const claimed = ['status/in-progress', 'agent/builder'];

/** An open claim of a session, five minutes old, with its labels as they should be. */
function row(fields: Partial<ClaimRow> = {}): ClaimRow {
  return {
    claimId: 'claim',
    agentId: 'agent',
    agentName: 'builder',
    issueId: 'issue',
    repoId: 'repo',
    owner: 'acme',
    name: 'app',
    number: 1,
    url: 'https://github.com/acme/app/issues/1',
    state: 'open',
    labels: claimed,
    vanished: false,
    source: 'session',
    tracked: true,
    released: false,
    releaseReason: null,
    releasedAt: null,
    live: false,
    heldBy: 'agent',
    claimedAt: ago(5),
    changedAt: ago(500),
    passStartedAt: ago(1),
    labelsWrittenAt: null,
    now,
    ...fields,
  };
}

const found = (fields: Partial<ClaimRow> = {}) => row({ source: 'label', ...fields });
const ended = (fields: Partial<ClaimRow> = {}) => row({ released: true, heldBy: null, ...fields });

const nothing = { add: [], remove: [] };

describe('an open claim', () => {
  test('stays, and its labels say so', () => {
    expect(decide(row(), rules)).toEqual({ row: row(), plan: nothing });
    expect(decide(row({ labels: ['status/ready'] }), rules).plan).toEqual({
      add: claimed,
      remove: ['status/ready'],
    });
  });

  test('ends when the issue is closed, live session or not', () => {
    for (const live of [true, false]) {
      expect(decide(row({ state: 'closed', live }), rules)).toMatchObject({
        release: 'issue_closed',
        plan: { add: ['status/done'], remove: claimed },
      });
    }
  });

  test('ends without labels when the issue is gone', () => {
    const decision = decide(row({ vanished: true, state: 'closed' }), rules);
    expect(decision).toMatchObject({ release: 'issue_gone' });
    expect(decision.plan).toBeUndefined();
  });

  test('without a live session ends after the grace, not before', () => {
    expect(decide(row({ claimedAt: ago(60) }), rules).release).toBeUndefined();
    expect(decide(row({ claimedAt: ago(61) }), rules)).toMatchObject({
      release: 'no_live_session',
      plan: { add: ['status/ready'], remove: claimed },
    });
    expect(decide(row({ claimedAt: ago(61), live: true }), rules).release).toBeUndefined();
  });
});

describe('a claim that was found as labels', () => {
  test('ends when neither a session nor a change upstream was seen for the grace', () => {
    const old = { claimedAt: ago(200), changedAt: ago(100) };
    expect(decide(found(old), rules).release).toBe('no_live_session');
    expect(decide(found({ ...old, changedAt: ago(30) }), rules).release).toBeUndefined();
    expect(decide(found({ ...old, claimedAt: ago(30) }), rules).release).toBeUndefined();
    expect(decide(found({ ...old, live: true }), rules).release).toBeUndefined();
  });

  test('does not end while no sync could have seen a change', () => {
    const old = { claimedAt: ago(500), changedAt: ago(500) };
    expect(decide(found({ ...old, passStartedAt: ago(450) }), rules).release).toBeUndefined();
    expect(decide(found({ ...old, passStartedAt: null }), rules).release).toBeUndefined();
    expect(decide(found({ ...old, passStartedAt: ago(430) }), rules).release).toBe(
      'no_live_session',
    );
  });

  test('ends when someone took a label away, and leaves the rest as it is', () => {
    for (const left of [['agent/builder'], ['status/in-progress'], ['status/blocked'], []]) {
      const decision = decide(found({ labels: left }), rules);
      expect(decision.release).toBe('labels_removed');
      expect(decision.plan).toBeUndefined();
    }
  });

  test('ends, labels untouched, when the agent no longer tracks the repository', () => {
    const decision = decide(found({ tracked: false }), rules);
    expect(decision.release).toBe('repo_untracked');
    expect(decision.plan).toBeUndefined();
    expect(decide(row({ tracked: false }), rules).release).toBeUndefined();
  });

  test('does not end by labels that may be older than our own writing', () => {
    const written = { labels: [], labelsWrittenAt: ago(2) };
    expect(decide(found({ ...written, passStartedAt: ago(3) }), rules).release).toBeUndefined();
    expect(decide(found({ ...written, passStartedAt: null }), rules).release).toBeUndefined();
    expect(decide(found({ ...written, passStartedAt: ago(1) }), rules).release).toBe(
      'labels_removed',
    );
  });
});

describe('a claim that ended before', () => {
  test('is not ended again, but its labels follow', () => {
    const decision = decide(ended({ claimedAt: ago(999) }), rules);
    expect(decision.release).toBeUndefined();
    expect(decision.plan).toEqual({ add: ['status/ready'], remove: claimed });
    expect(decide(ended({ state: 'closed' }), rules).plan?.add).toEqual(['status/done']);
    expect(decide(ended({ vanished: true }), rules).plan).toBeUndefined();
  });

  test('leaves the status to whoever claimed the issue since', () => {
    expect(decide(ended({ heldBy: 'other' }), rules).plan).toEqual({
      add: [],
      remove: ['agent/builder'],
    });
    expect(decide(ended({ heldBy: 'agent' }), rules).plan).toBeUndefined();
  });
});
