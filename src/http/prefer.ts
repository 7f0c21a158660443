import { AppError } from '../errors.ts';

/** The longest that a caller may ask to be held open, in seconds. */
export const MAX_WAIT_SECONDS = 60;

export type Preference = { waitSeconds: number | undefined; respondAsync: boolean };

/**
 * Reads the `Prefer` header (RFC 7240): `wait=N` and `respond-async`. Other preferences are left
 * alone, as the RFC asks; a `wait` that cannot be kept is refused rather than changed in silence.
 */
export function parsePrefer(header: string | undefined): Preference {
  const preferences = (header ?? '').split(',').map((part) => part.split(';')[0]?.trim() ?? '');
  const wait = preferences.find((part) => /^wait\s*=/i.test(part));
  return {
    waitSeconds: wait === undefined ? undefined : parseWait(wait),
    respondAsync: preferences.some((part) => part.toLowerCase() === 'respond-async'),
  };
}

function parseWait(preference: string): number {
  const value = preference
    .slice(preference.indexOf('=') + 1)
    .trim()
    .replace(/^"(.*)"$/, '$1');
  const seconds = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
  if (Number.isNaN(seconds) || seconds > MAX_WAIT_SECONDS) {
    const message = `wait must be a whole number of seconds from 0 to ${MAX_WAIT_SECONDS}, as in "Prefer: wait=10"`;
    throw new AppError('invalid', `${message}.`, { errors: [{ path: 'header.prefer', message }] });
  }
  return seconds;
}
