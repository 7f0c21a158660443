import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { RepoName } from './repos.ts';

/**
 * Issue keys in SQL: `github.com/acme/app#4`, where `acme/app` is the present name of the repository.
 * A key of another form, which is an address, fits no repository.
 */

/** SQL: the row of `repos` is the one that the key in this column names. */
export const isRepoOfKey = (column: string) => sql<boolean>`(
  repos.forge = 'github'
  AND lower(repos.owner) = substring(${sql.ref(column)} from '^[^/]+/([^/]+)/[^/#]+#')
  AND lower(repos.name) = substring(${sql.ref(column)} from '^[^/]+/[^/]+/([^/#]+)#'))`;

/** SQL: the row of `issues`, beside that of `repos`, is the one that the key in this column names. */
export const isIssueOfKey = (column: string) => sql<boolean>`(
  issues.repo_id = repos.id
  AND issues.number = substring(${sql.ref(column)} from '#([0-9]{1,9})$')::integer
  AND lower(split_part(issues.url, '/', 3)) = split_part(${sql.ref(column)}, '/', 1))`;

const FORM = /^([^/]+)\/([^/]+)\/([^/#]+)#(\d+)$/;

/** The key under the repository's present name, if the key has a former one. */
export async function presentIssueKey(db: Db, key: string): Promise<string> {
  const [, host, owner, name, number] = FORM.exec(key) ?? [];
  if (host === undefined) return key;
  const { rows } = await sql<RepoName>`
    SELECT repos.owner, repos.name
    FROM former_repo_names AS former JOIN repos ON repos.id = former.repo_id
    WHERE former.forge = 'github' AND former.owner = ${owner} AND former.name = ${name}
      AND NOT EXISTS (
        SELECT FROM repos AS present
        WHERE present.forge = 'github'
          AND lower(present.owner) = ${owner} AND lower(present.name) = ${name})`.execute(db);
  const [present] = rows;
  return present ? `${host}/${present.owner}/${present.name}#${number}`.toLowerCase() : key;
}

/**
 * Remembers a repository's former name, and gives sessions on its issues the key of the new one;
 * but not where another live session has that key already: the issue is that one's.
 */
export async function noteFormerName(
  db: Db,
  repoId: string,
  from: RepoName,
  to: RepoName,
): Promise<void> {
  const [former, present] = [from, to].map(({ owner, name }) => `${owner}/${name}`.toLowerCase());
  if (former === present) return;
  await sql`
    INSERT INTO former_repo_names (forge, owner, name, repo_id)
    VALUES ('github', lower(${from.owner}), lower(${from.name}), ${repoId})
    ON CONFLICT (forge, owner, name) DO UPDATE SET repo_id = excluded.repo_id`.execute(db);
  await sql`
    WITH renamed AS (
      SELECT id, split_part(issue_key, '/', 1) || '/' || ${present}::text
        || substring(issue_key from '#[0-9]+$') AS key
      FROM sessions
      WHERE (ended_at IS NULL OR resume_at IS NOT NULL)
        AND substring(issue_key from '^[^/]+/([^#]+)#[0-9]+$') = ${former}::text
    )
    UPDATE sessions SET issue_key = renamed.key FROM renamed
    WHERE sessions.id = renamed.id AND NOT EXISTS (
      SELECT FROM sessions AS other
      WHERE other.ended_at IS NULL AND other.issue_key = renamed.key)`.execute(db);
}
