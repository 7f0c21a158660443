import type { TokenView as Row } from '../../db/queries/tokens.ts';
import type { TokenScope } from '../../db/schema.ts';

/** A token as the API shows it: everything but the token. */
export type TokenInfo = {
  id: string;
  scope: TokenScope;
  agentName: string | null;
  sessionId: string | null;
  createdAt: string;
  expiresAt: string | null;
  revokedAt: string | null;
  lastUsedAt: string | null;
};

export function toTokenInfo(row: Row): TokenInfo {
  return {
    id: row.id,
    scope: row.scope,
    agentName: row.agent_name,
    sessionId: row.session_id,
    createdAt: row.created_at.toISOString(),
    expiresAt: row.expires_at?.toISOString() ?? null,
    revokedAt: row.revoked_at?.toISOString() ?? null,
    lastUsedAt: row.last_used_at?.toISOString() ?? null,
  };
}
