import { type Config, ConfigError } from './config.ts';

/** Separate processes can only meet in a database that all of them reach. */
export function requireDatabaseUrl(config: Config, command: string): string {
  if (config.databaseUrl !== undefined) return config.databaseUrl;
  throw new ConfigError([
    `DATABASE_URL is needed by "npm run ${command}"; without one, use "npm start", which brings its own database.`,
  ]);
}
