import { verify } from 'node:crypto';

export type FakeAuth = {
  /** The one token that is accepted; without it (and without `app`) any request is. */
  token?: string;
  app?: { id: string; installationId: string; publicKey: string };
};

const decode = (part: string) => Buffer.from(part, 'base64url');

/** Whether a GitHub App signed the JWT of this request. */
function isAppJwt(header: string, app: NonNullable<FakeAuth['app']>): boolean {
  const [head = '', payload = '', signature = ''] = header.replace(/^bearer /i, '').split('.');
  const signed = Buffer.from(`${head}.${payload}`);
  if (!verify('RSA-SHA256', signed, app.publicKey, decode(signature))) return false;
  const { iss } = JSON.parse(decode(payload).toString()) as { iss: string | number };
  return String(iss) === app.id;
}

/** Decides who may ask; remembers the installation tokens that it gave out. */
export function gatekeeper(auth: FakeAuth) {
  const issued = new Set<string>();
  return {
    remember: (token: string) => issued.add(token),
    knowsInstallation: (id: string) => auth.app?.installationId === id,
    admits(pathname: string, header: string): boolean {
      if (pathname.startsWith('/app/')) return auth.app !== undefined && isAppJwt(header, auth.app);
      if (auth.token === undefined && !auth.app) return true;
      const token = header.replace(/^(token|bearer) /i, '');
      return token === auth.token || issued.has(token);
    },
  };
}
