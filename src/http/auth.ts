import type { Context, MiddlewareHandler } from 'hono';
import { AppError } from '../errors.ts';
import type { Actor } from '../services/audit/note.ts';
import { type Authenticate, ENVIRONMENT, type Principal } from '../services/tokens/authenticate.ts';
import type { SignInFailures } from '../services/tokens/failures.ts';
import { clientAddress } from './client-address.ts';
import type { AppEnv } from './env.ts';

/** Every request below /api, and to /mcp, carries a token. */
export function bearerAuth(signIn: SignIn): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    c.set('principal', await signIn(c, bearerToken(c)));
    await next();
  };
}

/** @throws AppError `unauthorized`, or `rate_limited` where too many wrong tokens came from one address */
export type SignIn = (c: Context<AppEnv>, token: string) => Promise<Principal>;

/** What fails is counted after it has failed, so that strangers cannot keep a right token out. */
export function createSignIn(authenticate: Authenticate, failures: SignInFailures): SignIn {
  return async (c, token) =>
    await authenticate(token).catch((error: unknown) => {
      if (!isUnauthorized(error)) throw error;
      const wait = failures.note(clientAddress(c));
      if (wait === undefined) throw error;
      throw new AppError(
        'rate_limited',
        'Too many wrong tokens came from this address. Wait, then try one that is right.',
        { retryAfterSeconds: wait },
      );
    });
}

/** Who makes the change that a request asks for. */
export function actorOf(c: Context<AppEnv>): Actor {
  const { scope, tokenId, agentName } = c.get('principal');
  return {
    scope,
    tokenId: tokenId === ENVIRONMENT ? null : tokenId,
    agentName,
    address: clientAddress(c),
    requestId: c.get('requestId'),
  };
}

/** @throws AppError `unauthorized` */
export function bearerToken(c: Context<AppEnv>): string {
  const token = /^Bearer +(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1];
  if (token) return token;
  throw new AppError('unauthorized', 'Send a token in the header "Authorization: Bearer <token>".');
}

export const requireOperator: MiddlewareHandler<AppEnv> = async (c, next) => {
  assertOperator(c.get('principal'));
  await next();
};

export function assertOperator(principal: Principal): void {
  if (principal.scope !== 'operator') {
    throw new AppError('forbidden', 'This needs an operator token.');
  }
}

/** An agent acts for itself, an operator for any agent; a session's token for neither. */
export function mayActFor(principal: Principal, agentName: string): boolean {
  if (principal.scope === 'operator') return true;
  return principal.scope === 'agent' && principal.agentName === agentName;
}

/** @throws AppError `forbidden` */
export function assertMayActFor(principal: Principal, agentName: string): void {
  if (mayActFor(principal, agentName)) return;
  const own = principal.agentName;
  const why =
    principal.scope === 'session'
      ? `This token is for one session of the agent "${own}" alone. Use that agent's own token.`
      : `This token is for the agent "${own}", not for "${agentName}". Name "${own}" (defib: --agent ${own}, or DEFIB_AGENT), or use a token of "${agentName}".`;
  throw new AppError('forbidden', why);
}

/** What a session does, only its own token may do. */
export function assertSession(principal: Principal, sessionId: string): void {
  if (principal.scope === 'session' && principal.sessionId === sessionId) return;
  throw new AppError(
    'forbidden',
    'This needs the token of that session, as it was given when the session was started or claimed.',
  );
}

/** A session is read by its own token, its agent and operators; for others it does not exist. */
export function mayReadSession(
  principal: Principal,
  session: { id: string; agent_name: string },
): boolean {
  if (principal.scope === 'session') return principal.sessionId === session.id;
  return mayActFor(principal, session.agent_name);
}

/** A run is read by its agent and operators; by a session's token where a request of it made the run. */
export function mayReadRun(
  principal: Principal,
  run: { agent_name: string; session_id: string | null },
): boolean {
  if (principal.scope === 'session') return principal.sessionId === run.session_id;
  return mayActFor(principal, run.agent_name);
}

/** Whose items a list shows: an agent asks for its own without saying so. */
export function visibleAgent(principal: Principal, asked: string | undefined): string | undefined {
  if (principal.scope === 'operator') return asked;
  const own = principal.agentName ?? '';
  assertMayActFor(principal, asked ?? own);
  return own;
}

/** For a browser, which cannot send a bearer token: the operator token as the password. */
export function operatorForBrowser(signIn: SignIn): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const token = tokenOf(c.req.header('authorization'));
    const principal = token ? await signIn(c, token).catch(onlyUnauthorized) : undefined;
    if (principal?.scope !== 'operator') {
      return c.text('Sign in with any user name and an operator token as the password.\n', 401, {
        'WWW-Authenticate': 'Basic realm="defib operators", charset="UTF-8"',
      });
    }
    await next();
  };
}

function tokenOf(header: string | undefined): string | undefined {
  const [scheme, value] = (header ?? '').split(/ +/, 2);
  if (scheme?.toLowerCase() === 'bearer') return value;
  if (scheme?.toLowerCase() !== 'basic' || !value) return undefined;
  const [, ...password] = Buffer.from(value, 'base64').toString('utf8').split(':');
  return password.join(':') || undefined;
}

function onlyUnauthorized(error: unknown): undefined {
  if (isUnauthorized(error)) return undefined;
  throw error;
}

const isUnauthorized = (error: unknown): boolean =>
  error instanceof AppError && error.code === 'unauthorized';
