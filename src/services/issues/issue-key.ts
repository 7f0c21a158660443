/**
 * One name for an issue, however its address is written: `github.com/acme/app#4`, all in lower case,
 * for the page of the issue or of a pull request (which share their numbers), for anything on
 * that page, and for its address in GitHub's API. An address of another kind is only tidied up.
 */
export function issueKey(url: string): string {
  const parsed = URL.parse(url.trim());
  if (!parsed) return url.trim().toLowerCase();
  const parts = parsed.pathname.split('/').filter((part) => part !== '');
  const at = parts.findIndex((part, index) => isIssuePath(part) && isNumber(parts[index + 1]));
  const project = withoutApi(parts.slice(0, Math.max(at, 0)));
  if (project.length < 2) return tidied(parsed);
  const host = parsed.host.replace(/^www\./, '').replace(/^api\.github\.com$/, 'github.com');
  return `${host}/${project.map(decoded).join('/')}#${Number(parts[at + 1])}`.toLowerCase();
}

const isIssuePath = (part: string) => /^(issues|pulls?)$/i.test(part);
// As many digits as an integer of the database surely holds.
const isNumber = (part: string | undefined) => part !== undefined && /^0*[1-9]\d{0,8}$/.test(part);

/** `repos/acme/app` of an API, and the `-` that GitLab sets before `issues`. */
function withoutApi(project: string[]): string[] {
  const own = project.filter((part) => part !== '-');
  if (own.length > 2 && own[0] === 'repos') return own.slice(1);
  if (own.length > 4 && own[0] === 'api' && own[2] === 'repos') return own.slice(3);
  return own;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** A fragment that is a path names the issue in some trackers; another is a place on its page. */
function tidied({ protocol, host, pathname, search, hash }: URL): string {
  const path = pathname.replace(/\/+$/, '');
  const place = /^#[/!]/.test(hash) ? hash : '';
  return `${protocol}//${host}${path}${search}${place}`.toLowerCase();
}
