import { expect, it } from 'vitest';
import { loadConfig } from '../../../src/config.ts';
import type { SpawnerDeps } from '../../../src/services/spawners/create.ts';
import type { SpawnRequest } from '../../../src/services/spawners/spawner.ts';
import { createWebhookSpawner } from '../../../src/services/spawners/webhook.ts';

it('is not sent where it cannot be signed', async () => {
  const spawner = createWebhookSpawner({ config: loadConfig({}) } as SpawnerDeps);
  const policy = { type: 'webhook', url: 'https://example.com' } as const;
  await expect(
    spawner({} as SpawnRequest, policy, new AbortController().signal),
  ).rejects.toMatchObject({ code: 'invalid', message: expect.stringContaining('WEBHOOK_SECRET') });
});
