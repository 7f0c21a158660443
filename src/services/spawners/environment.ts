/** What the service is configured with, and an agent must not see. */
const OWN = /^(?:DEFIB_|GITHUB_APP_|(?:DATABASE_URL|REDIS_URL|GITHUB_TOKEN)(?:_FILE)?$|PG[A-Z]+$)/;

/** The environment of an agent: the worker's, without its secrets, and with the agent's session. */
export function agentEnvironment(
  env: NodeJS.ProcessEnv,
  session: Record<string, string>,
): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(([name]) => !OWN.test(name));
  return { ...Object.fromEntries(kept), ...session };
}
