import { createHmac } from 'node:crypto';
import { AppError } from '../../errors.ts';
import type { SpawnerDeps } from './create.ts';
import { postJson } from './post.ts';
import type { Spawners } from './spawner.ts';
import { toSessionView } from '../sessions/view.ts';

/**
 * Asks an orchestrator to start the agent: a POST signed as Standard Webhooks asks, with what a claim
 * would answer. Its id is the same for all tries of one run, so that a receiver can tell them apart
 * from new ones.
 */
export function createWebhookSpawner({ config }: SpawnerDeps): Spawners['webhook'] {
  const { webhookSecret, webhookAllowPrivate } = config.spawn;
  return async ({ session, token, continuation, runId }, policy, signal) => {
    if (webhookSecret === undefined) {
      throw new AppError(
        'invalid',
        'Set DEFIB_WEBHOOK_SECRET: without it a webhook cannot be signed.',
      );
    }
    const timestamp = Math.floor(Date.now() / 1000);
    const body = JSON.stringify({
      type: 'session.resume',
      timestamp: new Date(timestamp * 1000).toISOString(),
      data: { session: toSessionView(session), token, continuation },
    });
    const id = `msg_${runId}`;
    await postJson(new URL(policy.url), {
      body,
      headers: {
        'webhook-id': id,
        'webhook-timestamp': String(timestamp),
        'webhook-signature': sign(webhookSecret, `${id}.${timestamp}.${body}`),
      },
      allowPrivate: webhookAllowPrivate,
      signal,
    });
  };
}

/** HMAC-SHA256 as of https://www.standardwebhooks.com. */
function sign(secret: string, content: string): string {
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  return `v1,${createHmac('sha256', key).update(content).digest('base64')}`;
}
